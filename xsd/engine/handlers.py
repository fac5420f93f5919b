"""What each request does: one function for each message type.

A handler does its own work only. That the caller may send this request at all,
that the transaction exists and the payload makes sense was seen to before
(dispatch.py); an exception becomes the reply there too.
"""

from xsd.engine import progress, tracing
from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.engine.outcome import DONE, Outcome
from xsd.protocol import request as requests
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import DOMID_SELF
from xsd.protocol.ops import FEATURE_WATCH_DEPTH
from xsd.protocol.path import format_path
from xsd.protocol.perms import names_a_domain, parse_permissions
from xsd.protocol.reply import FALSE, TRUE, number_payload, text_payload
from xsd.store import Event, Transaction, Watch

# Nodes.


def read(
    core: Core,
    connection: Connection,
    request: requests.Read,
    transaction: Transaction | None,
) -> Outcome:
    """READ."""
    path = core.path(connection, request.path)
    return Outcome(core.store.read(connection.caller, path, transaction))


def directory(
    core: Core,
    connection: Connection,
    request: requests.Directory,
    transaction: Transaction | None,
) -> Outcome:
    """DIRECTORY."""
    path = core.path(connection, request.path)
    return Outcome(core.store.directory(connection.caller, path, transaction))


def directory_part(
    core: Core,
    connection: Connection,
    request: requests.DirectoryPart,
    transaction: Transaction | None,
) -> Outcome:
    """DIRECTORY_PART."""
    path = core.path(connection, request.path)
    caller = connection.caller
    return Outcome(core.store.directory_part(caller, path, request.offset, transaction))


def get_perms(
    core: Core,
    connection: Connection,
    request: requests.GetPerms,
    transaction: Transaction | None,
) -> Outcome:
    """GET_PERMS, of special nodes too."""
    path = core.path(connection, request.path, special=True)
    return Outcome(core.store.get_perms(connection.caller, path, transaction).text)


def write(
    core: Core,
    connection: Connection,
    request: requests.Write,
    transaction: Transaction | None,
) -> Outcome:
    """WRITE."""
    path = core.path(connection, request.path)
    events = core.store.write(connection.caller, path, request.value, transaction)
    return Outcome(events=events) if events else DONE


def mkdir(
    core: Core,
    connection: Connection,
    request: requests.Mkdir,
    transaction: Transaction | None,
) -> Outcome:
    """MKDIR."""
    path = core.path(connection, request.path)
    return Outcome(events=core.store.mkdir(connection.caller, path, transaction))


def rm(
    core: Core,
    connection: Connection,
    request: requests.Rm,
    transaction: Transaction | None,
) -> Outcome:
    """RM."""
    path = core.path(connection, request.path)
    return Outcome(events=core.store.rm(connection.caller, path, transaction))


def set_perms(
    core: Core,
    connection: Connection,
    request: requests.SetPerms,
    transaction: Transaction | None,
) -> Outcome:
    """SET_PERMS, of special nodes too."""
    # As C does, too many entries are found out before a malformed one, and an owner
    # that does not exist before a bad path.
    core.store.check_entries(connection.caller, len(request.permissions))
    perms = parse_permissions(request.permissions)
    perms = core.store.vet(connection.caller, perms)
    path = core.path(connection, request.path, special=True)
    events = core.store.set_perms(connection.caller, path, perms, transaction)
    return Outcome(events=events)


# Watches and transactions.


def watch(
    core: Core,
    connection: Connection,
    request: requests.Watch,
    _transaction: Transaction | None,
) -> Outcome:
    """WATCH; the first event comes at once, whether or not the node exists."""
    limited = request.depth != requests.UNLIMITED
    if limited and not core.features(connection) & FEATURE_WATCH_DEPTH:
        raise XenStoreError(Errno.EINVAL, "depth is not offered to this domain")
    path = core.path(connection, request.path, special=True)
    key = (path, request.token)
    if key in connection.watches:
        raise XenStoreError(Errno.EEXIST, "watch exists", request.path)
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
    if core.tracing.obj:
        core.notices.append(tracing.watch("obj.watch_added", connection, new))
    return Outcome(events=[Event(new, format_path(path))], reply_first=True)


def unwatch(
    core: Core,
    connection: Connection,
    request: requests.Unwatch,
    _transaction: Transaction | None,
) -> Outcome:
    """UNWATCH."""
    path = core.path(connection, request.path, special=True)
    found = connection.watches.pop((path, request.token), None)
    if found is None:
        raise XenStoreError(Errno.ENOENT, "no such watch", request.path)
    core.store.unwatch(found)
    if core.tracing.obj:
        core.notices.append(tracing.watch("obj.watch_removed", connection, found))
    return DONE


def reset_watches(
    core: Core,
    connection: Connection,
    _request: requests.ResetWatches,
    _transaction: Transaction | None,
) -> Outcome:
    """RESET_WATCHES: also ends the transaction it is sent in (XSA-484)."""
    core.forget(connection)
    return DONE


def transaction_start(
    core: Core,
    connection: Connection,
    _request: requests.TransactionStart,
    transaction: Transaction | None,
) -> Outcome:
    """TRANSACTION_START."""
    if transaction is not None:
        raise XenStoreError(Errno.EBUSY, "transactions do not nest")
    opened = core.store.start(connection.caller)
    progress.started(core, connection, opened)
    number = connection.keep(opened)
    if core.tracing.obj:
        more: dict[str, object] = {"transaction": number}
        core.notices.append(tracing.about("obj.transaction_started", connection, more))
    return Outcome(number_payload(number))


def transaction_end(
    core: Core,
    connection: Connection,
    request: requests.TransactionEnd,
    transaction: Transaction | None,
) -> Outcome:
    """TRANSACTION_END: the transaction is gone whatever comes of it."""
    if transaction is None:
        raise XenStoreError(Errno.ENOENT, "no transaction named")
    number = connection.drop(transaction)
    progress.ended(core, transaction, commit=request.commit)
    if core.tracing.obj:
        more: dict[str, object] = {"transaction": number, "commit": request.commit}
        core.notices.append(tracing.about("obj.transaction_ended", connection, more))
    if not request.commit:
        core.store.abort(transaction)
        return DONE
    try:
        events = core.store.commit(transaction)
    except XenStoreError as error:
        if error.errno == Errno.EAGAIN:
            progress.conflicted(connection, transaction)
        raise
    progress.committed(connection)
    return Outcome(events=events)


# Domains.


def introduce(
    core: Core,
    connection: Connection,
    request: requests.Introduce,
    _transaction: Transaction | None,
) -> Outcome:
    """INTRODUCE; of a known domain: its connection begins anew."""
    if not names_a_domain(request.domid):
        raise XenStoreError(Errno.EINVAL, f"{request.domid} is no domain's id")
    # Told even if the new domain cannot be introduced.
    core.deliver(core.end_if_replaced(request.domid), connection)
    store = core.store
    known = store.domains.get(request.domid)
    if known is not None and known.introduced:
        for each in core.connections_of(request.domid):
            core.forget(each)
            each.restart()
        if not known.caller.privileged:
            core.guests.reconnect(known, request.port)
        return _introduced(core, request)
    domain = store.know(request.domid)
    try:
        core.guests.connect(domain, request.port)
    except XenStoreError:
        if known is None:
            store.end([request.domid])
        raise
    return _introduced(core, request)


def _introduced(core: Core, request: requests.Introduce) -> Outcome:
    if core.tracing.obj:
        core.notices.append(tracing.domain("obj.domain_introduced", request.domid))
    return Outcome(events=core.store.introduce(request.domid, request.port))


def release(
    core: Core,
    _connection: Connection,
    request: requests.Release,
    _transaction: Transaction | None,
) -> Outcome:
    """RELEASE."""
    _refuse_privileged(core, request.domid)
    core.store.introduced(request.domid)
    return Outcome(events=core.end(request.domid))


def resume(
    core: Core,
    _connection: Connection,
    request: requests.Resume,
    _transaction: Transaction | None,
) -> Outcome:
    """RESUME."""
    _refuse_privileged(core, request.domid)
    core.store.resume(request.domid)
    return DONE


def set_target(
    core: Core,
    _connection: Connection,
    request: requests.SetTarget,
    _transaction: Transaction | None,
) -> Outcome:
    """SET_TARGET."""
    core.store.set_target(request.domid, request.target)
    return DONE


def get_domain_path(
    _core: Core,
    _connection: Connection,
    request: requests.GetDomainPath,
    _transaction: Transaction | None,
) -> Outcome:
    """GET_DOMAIN_PATH, of any domain, even one that does not exist."""
    return Outcome(text_payload(b"/local/domain/%d" % request.domid))


def is_domain_introduced(
    core: Core,
    _connection: Connection,
    request: requests.IsDomainIntroduced,
    _transaction: Transaction | None,
) -> Outcome:
    """IS_DOMAIN_INTRODUCED."""
    domain = core.store.domains.get(request.domid)
    introduced = domain is not None and domain.introduced
    return Outcome(TRUE if introduced or request.domid == DOMID_SELF else FALSE)


def get_feature(
    core: Core,
    connection: Connection,
    request: requests.GetFeature,
    _transaction: Transaction | None,
) -> Outcome:
    """GET_FEATURE: anyone's own, or for a privileged caller any domain's."""
    if request.domid == requests.OWN:
        return Outcome(number_payload(core.features(connection)))
    if not connection.caller.privileged:
        raise XenStoreError(Errno.EACCES, "features of another domain")
    return Outcome(number_payload(core.store.known(request.domid).features))


def set_feature(
    core: Core,
    _connection: Connection,
    request: requests.SetFeature,
    _transaction: Transaction | None,
) -> Outcome:
    """SET_FEATURE, before the domain is introduced."""
    core.store.set_features(request.domid, request.features)
    return DONE


def get_quota(
    core: Core,
    _connection: Connection,
    request: requests.GetQuota,
    _transaction: Transaction | None,
) -> Outcome:
    """GET_QUOTA."""
    quotas = core.store.quotas
    if not request.name:
        return Outcome(text_payload(" ".join(quotas.names()).encode()))
    if request.domid != requests.GLOBAL:
        core.store.known(request.domid)
    name = request.name.decode("ascii", "replace")
    return Outcome(number_payload(quotas.get(request.domid, name)))


def set_quota(
    core: Core,
    _connection: Connection,
    request: requests.SetQuota,
    _transaction: Transaction | None,
) -> Outcome:
    """SET_QUOTA."""
    if request.domid != requests.GLOBAL:
        core.store.known(request.domid)
    name = request.name.decode("ascii", "replace")
    core.store.set_quota(request.domid, name, request.value)
    return DONE


def _refuse_privileged(core: Core, domid: int) -> None:
    if domid == core.store.privileged.domid:
        raise XenStoreError(Errno.EINVAL, f"dom{domid} is privileged")
