"""Domains come and go: what that means to connections, channels and the store."""

from xsd.engine import tracing
from xsd.engine.core import Core
from xsd.engine.notice import Notice
from xsd.protocol.errors import XenStoreError
from xsd.store import Event
from xsd.store.store import RELEASE_DOMAIN


def end(core: Core, domid: int) -> list[Event]:
    """End a known domain: by RELEASE, or because it is gone.

    Returns:
        The events of its nodes, and @releaseDomain if it was introduced.
    """
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
    domain = core.store.known(domid)
    if domain.introduced:
        core.outside.disconnect(domain)
    return core.store.end([domid], keep_orphans=core.keep_orphans)


def end_if_replaced(core: Core, domid: int) -> list[Event]:
    """End a known domain if there is another one of that id by now."""
    domain = core.store.domains.get(domid)
    if domain is None or domain.caller.privileged:
        return []
    unique_id = core.outside.unique_id(domid)
    if unique_id is None or unique_id == domain.unique_id:
        return []
    return end(core, domid)


def open_channel(core: Core, domid: int, port: int) -> None:
    """Make a domain known and give it a channel, if it can have one.

    Raises:
        XenStoreError: If it cannot be connected; then nothing has changed.
    """
    is_new = core.store.domains.get(domid) is None
    domain = core.store.know(domid)
    connection = core.connect(domain.caller)
    try:
        has_channel = core.outside.connect(domain, port, connection)
    except XenStoreError:
        core.drop(connection)
        core.last -= 1
        if is_new:
            core.store.unknow(domid)
        raise
    if has_channel:
        connection.is_channel = True
    else:
        core.drop(connection)


def find(core: Core, domid: int) -> None:
    """Introduce a domain that was there already; see `Engine.introduce_waiting`."""
    try:
        open_channel(core, domid, 0)
    except XenStoreError:
        # As a rule its toolstack will introduce it: no port is in its page.
        return
    core.deliver(core.store.introduce(domid, 0))
    core.notices.append(Notice("info", "domain.found", {"domid": domid}))


def changed(core: Core, ended: list[int], stopped: list[int]) -> None:
    """Domains have come to an end or shut down; see `Engine.domains_changed`."""
    store = core.store
    for domid in stopped:
        if core.tracing.obj:
            core.notices.append(tracing.domain("obj.domain_stopped", domid))
        core.deliver(store.shut_down(domid))
    for domid in ended:
        core.deliver(end(core, domid))
    if stopped:
        # Watches without a depth are told once, whatever the number of domains.
        plain = store.tell_domain(RELEASE_DOMAIN, stopped[0], deep=False)
        core.deliver(plain)
