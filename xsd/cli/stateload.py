"""States and parts of them, brought into a running daemon."""

from typing import Final

from xsd.cli.common import CommandError, show, strerror
from xsd.cli.statedomain import domain_of, home_of, moved
from xsd.cli.staterunning import Tell, Tree, fetch, records_of, replace
from xsd.client.client import Client
from xsd.engine.foreign import store_for
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.records import ConnectionData, DomainData, Record, WatchData

_CHUNK: Final = 1024
"""Bytes that are brought at a time."""


def load(client: Client, records: list[Record], tell: Tell, *, force: bool) -> int:
    """Make all nodes of a daemon those of a state.

    Clients, watches, transactions, domains and limits stay what they are: they belong
    to who is there.

    Args:
        client: Who does it.
        records: The state.
        tell: Is told how far it is.
        force: Do it though there are guests.

    Returns:
        How many nodes and permissions have changed.

    Raises:
        CommandError: If it may not be, or is refused; nothing has changed.
    """
    wanted = Tree(records)
    if domain_of(records) is not None or b"/" not in wanted.nodes:
        raise CommandError("it is of one domain: xsd state import DOMID FILE")
    guests = [] if force else _guests(records_of(fetch(client)))
    if guests:
        reason = f"there are guests, domain {guests[0]} among them: --force does it"
        raise CommandError(reason)
    return replace(client, wanted, b"/", tell)


def _guests(records: list[Record]) -> list[int]:
    """Domains with a ring, beside the control domain and the daemon's own."""
    store = store_for(records)
    ours = {store.privileged.domid, store.own.domid}
    return [
        record.domid
        for record in records
        if isinstance(record, ConnectionData)
        and record.domid >= 0
        and record.domid not in ours
    ]


def bring_in(client: Client, domid: int, records: list[Record], tell: Tell) -> None:
    """Make a domain what another was, or it itself in another place.

    Its home is replaced in one transaction, first. What is on its ring is added to
    nothing: it must not have done anything with it yet.

    Args:
        client: Who does it.
        domid: The domain, which must be introduced if the other was.
        records: What `statedomain.part_of` told of the other.
        tell: Is told how far it is.

    Raises:
        CommandError: If something is refused, which the text names; the home stays as
            it was, or is that of the other already.
    """
    mine = moved(records, domid)
    present = records_of(fetch(client))
    if _domain(present, domid) is None:
        raise CommandError(f"there is no domain {domid}")
    link = _link(mine, domid)
    if link is not None and _link(present, domid) is None:
        raise CommandError(f"domain {domid} has no ring: introduce it first")
    _describe(client, _domain(present, domid), _domain(mine, domid))
    replace(client, Tree(mine).below(home_of(domid)), home_of(domid), tell)
    if link is None:
        return
    whose = b"%d" % domid
    for record in mine:
        if isinstance(record, WatchData):
            depth = b"%d" % record.depth
            _step(client, b"watch", whose, depth, record.path, record.token)
    if link.target >= 0:
        client.set_target(domid, link.target)
    if link.pending:
        _put(client, link.pending)
        _step(client, b"input", whose)
    if link.unsent:
        _put(client, link.unsent)
        _step(client, b"output", whose, b"%d" % link.begun)


def _domain(records: list[Record], domid: int) -> DomainData | None:
    for record in records:
        if isinstance(record, DomainData) and record.domid == domid:
            return record
    return None


def _link(records: list[Record], domid: int) -> ConnectionData | None:
    for record in records:
        if isinstance(record, ConnectionData) and record.domid == domid:
            return record
    return None


def _describe(
    client: Client, present: DomainData | None, wanted: DomainData | None
) -> None:
    """Give a domain the limits and features of another."""
    if present is None or wanted is None:
        return
    domid = present.domid
    if present.features != wanted.features:
        try:
            client.set_feature(domid, wanted.features)
        except XenStoreError as error:
            # It is introduced: then it must not be offered less than it knows of.
            if error.errno != Errno.EBUSY or wanted.features & ~present.features:
                reason = f"not {present.features} but {wanted.features}"
                raise CommandError(
                    f"domain {domid} knows other features, {reason}: they are chosen"
                    " before it is introduced"
                ) from None
    for name, limit in wanted.quotas.items():
        if present.quotas.get(name) != limit:
            client.set_quota(name, limit, domid)


def _put(client: Client, data: bytes) -> None:
    for at in range(0, len(data), _CHUNK):
        _step(client, b"put", data[at : at + _CHUNK].hex().encode())


def _step(client: Client, *words: bytes) -> None:
    try:
        client.control("state", *words)
    except XenStoreError as error:
        text = " ".join([show(word) for word in words])
        raise CommandError(f"{text}: {strerror(error)}") from None
