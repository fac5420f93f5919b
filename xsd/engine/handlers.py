"""What each request does: one function for each message type.

A handler takes the payload apart, does its own work only, queues the events that it
causes, and returns the payload of the reply. That the caller may send this request at
all and that the transaction exists was seen to before (dispatch.py); an exception
becomes the reply there too.
"""

from xsd.engine import domains, progress, tracing, watchlog
from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.engine.delivery import deliver
from xsd.protocol import request as requests
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import DOMID_SELF
from xsd.protocol.number import parse_domid
from xsd.protocol.ops import FALSE, FEATURE_WATCH_DEPTH, TRUE
from xsd.protocol.path import domain_path, format_path
from xsd.protocol.perms import names_a_domain, parse_permissions
from xsd.protocol.reply import OK, number_payload, text_payload
from xsd.protocol.request import one_string
from xsd.store import Event, Transaction, Watch

# Nodes.


def read(
    core: Core,
    connection: Connection,
    payload: bytes,
    transaction: Transaction | None,
) -> bytes:
    """READ."""
    path = core.only_path(connection, payload)
    return core.store.view(transaction).read(connection.caller, path)


def directory(
    core: Core,
    connection: Connection,
    payload: bytes,
    transaction: Transaction | None,
) -> bytes:
    """DIRECTORY."""
    path = core.only_path(connection, payload)
    return core.store.view(transaction).directory(connection.caller, path)


def directory_part(
    core: Core,
    connection: Connection,
    payload: bytes,
    transaction: Transaction | None,
) -> bytes:
    """DIRECTORY_PART."""
    request = requests.parse_directory_part(payload)
    path = core.path(connection, request.path)
    view = core.store.view(transaction)
    return view.directory_part(connection.caller, path, request.offset)


def get_perms(
    core: Core,
    connection: Connection,
    payload: bytes,
    transaction: Transaction | None,
) -> bytes:
    """GET_PERMS, of special nodes too."""
    path = core.only_path(connection, payload, special=True)
    return core.store.view(transaction).get_perms(connection.caller, path).text


def write(
    core: Core,
    connection: Connection,
    payload: bytes,
    transaction: Transaction | None,
) -> bytes:
    """WRITE."""
    raw, nul, value = payload.partition(b"\0")
    if not nul:
        raise XenStoreError(Errno.EINVAL, "path without NUL")
    path = core.path(connection, raw)
    events = core.store.write(connection.caller, path, value, transaction)
    if events:
        deliver(core, events, connection)
    return OK


def mkdir(
    core: Core,
    connection: Connection,
    payload: bytes,
    transaction: Transaction | None,
) -> bytes:
    """MKDIR."""
    path = core.only_path(connection, payload)
    deliver(core, core.store.mkdir(connection.caller, path, transaction), connection)
    return OK


def rm(
    core: Core,
    connection: Connection,
    payload: bytes,
    transaction: Transaction | None,
) -> bytes:
    """RM."""
    path = core.only_path(connection, payload)
    deliver(core, core.store.rm(connection.caller, path, transaction), connection)
    return OK


def set_perms(
    core: Core,
    connection: Connection,
    payload: bytes,
    transaction: Transaction | None,
) -> bytes:
    """SET_PERMS, of special nodes too."""
    request = requests.parse_set_perms(payload)
    caller = connection.caller
    # As C does, too many entries are found out before a malformed one, and an owner
    # that does not exist before a bad path.
    core.store.check_entries(caller, len(request.permissions), request.path)
    perms = core.store.vet(caller, parse_permissions(request.permissions))
    path = core.path(connection, request.path, special=True)
    events = core.store.set_perms(caller, path, perms, transaction)
    deliver(core, events, connection)
    return OK


# Watches and transactions.


def watch(
    core: Core,
    connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """WATCH; the first event comes at once, whether or not the node exists.

    As in the C daemon it comes after the reply, and no other event does.
    """
    request = requests.parse_watch(payload)
    limited = request.depth != requests.UNLIMITED
    if limited and not core.features(connection) & FEATURE_WATCH_DEPTH:
        raise XenStoreError(Errno.EINVAL, "depth is not offered to this domain")
    path = core.path(connection, request.path, special=True)
    key = (path, request.token)
    if key in connection.watches:
        reason = "a watch on this path with this token is there already"
        raise XenStoreError(Errno.EEXIST, reason, request.path)
    new = Watch(
        connection.id,
        connection.caller,
        path,
        request.path,
        request.token,
        request.depth,
    )
    core.store.watch(new)
    connection.watches[key] = new
    if len(connection.watches) >= connection.many_watches:
        watchlog.note_many(core, connection)
    if core.tracing.obj:
        core.notices.append(tracing.watch("obj.watch_added", connection, new))
    core.after_reply = Event(new, format_path(path))
    return OK


def unwatch(
    core: Core,
    connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """UNWATCH."""
    request = requests.parse_unwatch(payload)
    path = core.path(connection, request.path, special=True)
    found = connection.watches.pop((path, request.token), None)
    if found is None:
        reason = watchlog.not_found(connection, request.path, request.token)
        raise XenStoreError(Errno.ENOENT, reason, request.path)
    core.store.unwatch(found)
    if core.tracing.obj:
        core.notices.append(tracing.watch("obj.watch_removed", connection, found))
    return OK


def reset_watches(
    core: Core,
    connection: Connection,
    _payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """RESET_WATCHES: also ends the transaction it is sent in (XSA-484)."""
    core.forget(connection)
    return OK


def transaction_start(
    core: Core,
    connection: Connection,
    _payload: bytes,
    transaction: Transaction | None,
) -> bytes:
    """TRANSACTION_START."""
    if transaction is not None:
        raise XenStoreError(Errno.EBUSY, "transactions do not nest")
    opened = core.store.start(connection.caller)
    number = connection.keep(opened)
    progress.started(core, connection, opened)
    if core.tracing.obj:
        more: dict[str, object] = {"transaction": number}
        core.notices.append(tracing.about("obj.transaction_started", connection, more))
    return number_payload(number)


def transaction_end(
    core: Core,
    connection: Connection,
    payload: bytes,
    transaction: Transaction | None,
) -> bytes:
    """TRANSACTION_END: the transaction is gone whatever comes of it."""
    commit = requests.parse_transaction_end(payload).commit
    if transaction is None:
        raise XenStoreError(Errno.ENOENT, "no transaction named")
    number = core.transaction_id
    del connection.transactions[number]
    progress.ended(core, transaction, commit=commit)
    if core.tracing.obj:
        more: dict[str, object] = {"transaction": number, "commit": commit}
        core.notices.append(tracing.about("obj.transaction_ended", connection, more))
    if not commit:
        core.store.abort(transaction)
        return OK
    try:
        events = core.store.commit(transaction)
    except XenStoreError as error:
        if error.errno == Errno.EAGAIN:
            progress.conflicted(core, connection, transaction)
        raise
    progress.committed(connection)
    deliver(core, events, connection)
    return OK


# Domains.


def introduce(
    core: Core,
    connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """INTRODUCE; of a known domain: its connection begins anew."""
    request = requests.parse_introduce(payload)
    domid = request.domid
    if not names_a_domain(domid):
        raise XenStoreError(Errno.EINVAL, f"{domid} is no domain's id")
    # Told even if the new domain cannot be introduced.
    deliver(core, domains.end_if_replaced(core, domid), connection)
    known = core.store.domains.get(domid)
    if known is not None and known.introduced:
        if not known.stays:
            for each in core.connections_of(domid):
                core.restart(each)
        core.outside.reconnect(known, request.port)
    else:
        domains.open_channel(core, domid, request.port)
    if core.tracing.obj:
        core.notices.append(tracing.domain("obj.domain_introduced", domid))
    deliver(core, core.store.introduce(domid, request.port), connection)
    return OK


def release(
    core: Core,
    connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """RELEASE."""
    domid = parse_domid(one_string(payload))
    _refuse_staying(core, domid)
    core.store.introduced(domid)
    deliver(core, domains.end(core, [domid]), connection)
    return OK


def resume(
    core: Core,
    _connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """RESUME."""
    domid = parse_domid(one_string(payload))
    _refuse_staying(core, domid)
    core.store.resume(domid)
    return OK


def set_target(
    core: Core,
    _connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """SET_TARGET."""
    request = requests.parse_set_target(payload)
    core.store.set_target(request.domid, request.target)
    return OK


def get_domain_path(
    _core: Core,
    _connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """GET_DOMAIN_PATH, of any domain, even one that does not exist."""
    return text_payload(domain_path(parse_domid(one_string(payload))))


def is_domain_introduced(
    core: Core,
    _connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """IS_DOMAIN_INTRODUCED."""
    domid = parse_domid(one_string(payload))
    domain = core.store.domains.get(domid)
    introduced = domain is not None and domain.introduced
    return TRUE if introduced or domid == DOMID_SELF else FALSE


def get_feature(
    core: Core,
    connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """GET_FEATURE: anyone's own, or for a privileged caller any domain's."""
    request = requests.parse_get_feature(payload)
    if request.domid == requests.OWN:
        return number_payload(core.features(connection))
    if not connection.caller.privileged:
        privileged = core.store.privileged.domid
        reason = f"features of another domain are told dom{privileged} only"
        raise XenStoreError(Errno.EACCES, reason)
    return number_payload(core.store.known(request.domid).features)


def set_feature(
    core: Core,
    _connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """SET_FEATURE, before the domain is introduced."""
    request = requests.parse_set_feature(payload)
    core.store.set_features(request.domid, request.features)
    return OK


def get_quota(
    core: Core,
    _connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """GET_QUOTA."""
    request = requests.parse_get_quota(payload)
    quotas = core.store.quotas
    if not request.name:
        return text_payload(" ".join(quotas.names()).encode())
    if request.domid != requests.GLOBAL:
        core.store.known(request.domid)
    name = request.name.decode("ascii", "replace")
    return number_payload(quotas.get(request.domid, name))


def set_quota(
    core: Core,
    _connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """SET_QUOTA."""
    request = requests.parse_set_quota(payload)
    if request.domid != requests.GLOBAL:
        core.store.known(request.domid)
    name = request.name.decode("ascii", "replace")
    core.set_limit(request.domid, name, request.value)
    return OK


def _refuse_staying(core: Core, domid: int) -> None:
    domain = core.store.domains.get(domid)
    if domain is not None and domain.stays:
        raise XenStoreError(Errno.EINVAL, f"dom{domid} cannot be released or resumed")
