"""Domains come and go: what that means to connections, channels and the store."""

from xsd.engine import tracing
from xsd.engine.core import Core
from xsd.engine.delivery import deliver
from xsd.engine.notice import Notice
from xsd.protocol.errors import XenStoreError
from xsd.store import Event
from xsd.store.store import RELEASE_DOMAIN


def end(core: Core, domids: list[int]) -> list[Event]:
    """End known domains, each once: by RELEASE, or because they are gone.

    Returns:
        The events of the nodes of each, and its @releaseDomain if it was introduced.
    """
    for domid in domids:
        _let_go(core, domid)
    return core.store.end(domids, keep_orphans=core.keep_orphans)


def _let_go(core: Core, domid: int) -> None:
    """End connections and channel of a domain, and what is noted of it."""
    if core.tracing.obj:
        core.notices.append(tracing.domain("obj.domain_ended", domid))
    for connection in core.connections_of(domid):
        if connection.is_channel:
            core.drop(connection)
        else:
            core.forget(connection)
            connection.outbox.clear()
            core.lose(connection)
    for key in [key for key in core.over_quota if key[0] == domid]:
        del core.over_quota[key]
    core.over_soft.discard(domid)
    core.remarked_ms.pop(domid, None)
    domain = core.store.domains.get(domid)
    if domain is None or not domain.introduced:
        return
    try:
        core.outside.disconnect(domain)
    except Exception as error:  # noqa: BLE001  the domain has ended all the same
        core.note_defect("channel.not_closed", error)


def end_if_replaced(core: Core, domid: int) -> list[Event]:
    """End a known domain if there is another one of that id by now."""
    domain = core.store.domains.get(domid)
    if domain is None or domain.stays:
        return []
    unique_id = core.outside.unique_id(domid)
    if unique_id is None or unique_id == domain.unique_id:
        return []
    return end(core, [domid])


def open_channel(core: Core, domid: int, port: int) -> None:
    """Make a domain known and give it a channel, if it can have one.

    Raises:
        XenStoreError: If it cannot be connected; then nothing has changed, as with
            any other exception.
    """
    is_new = core.store.domains.get(domid) is None
    domain = core.store.know(domid)
    connection = core.make(domain.caller)
    try:
        has_channel = core.outside.connect(domain, port, connection)
    except Exception:
        core.unmake(connection)
        if is_new:
            core.store.unknow(domid)
        raise
    if not has_channel:
        core.unmake(connection)
        return
    connection.is_channel = True
    connection.is_kernel = domain.stays
    if core.tracing.obj:
        core.notices.append(tracing.about("obj.connected", connection))


def find(core: Core, domid: int) -> XenStoreError | None:
    """Introduce a domain that was there already; see `Engine.introduce_waiting`."""
    try:
        open_channel(core, domid, 0)
    except XenStoreError as error:
        # As a rule its toolstack will introduce it: no port is in its page.
        return error
    deliver(core, core.store.introduce(domid, 0))
    core.notices.append(Notice("info", "domain.found", {"domid": domid}))
    return None


def changed(core: Core, ended: list[int], stopped: list[int]) -> None:
    """Domains have come to an end or shut down; see `Engine.domains_changed`."""
    store = core.store
    for domid in stopped:
        if core.tracing.obj:
            core.notices.append(tracing.domain("obj.domain_stopped", domid))
        deliver(core, store.shut_down(domid))
    known = [domid for domid in ended if store.domains.get(domid) is not None]
    deliver(core, end(core, known))
    if stopped:
        # Watches without a depth are told once, whatever the number of domains.
        plain = store.tell_domain(RELEASE_DOMAIN, stopped[0], deep=False)
        deliver(core, plain)
