"""xsd.cli.stateload: a guest goes on on another host, and a tree is brought back."""

import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.daemons import PATIENCE_S, Daemon, start_xsd
from tests.support.processes import wait_until
from xsd.cli.common import CommandError
from xsd.cli.statedomain import part_of
from xsd.cli.stateload import bring_in, load
from xsd.cli.staterunning import fetch, records_of
from xsd.client import Client
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.limits import RING_SIZE
from xsd.protocol.ops import Op
from xsd.protocol.records import ConnectionData, NodeData, Record
from xsd.protocol.ring import PAGE_SIZE, RSP_CONS, RSP_PROD
from xsd.testing.guests import Guest, PretendedHost


class Place:
    """A host with a daemon, and one of dom0's clients."""

    def __init__(self, daemon: Daemon, held: ExitStack) -> None:
        self.dom0 = held.enter_context(Client(str(daemon.socket), timeout=PATIENCE_S))
        control = f"{daemon.socket}.hypervisor"
        self.host = held.enter_context(PretendedHost(control, timeout=PATIENCE_S))
        self.held = held

    def guest(self, domid: int, page: bytes = b"") -> Guest:
        """A guest that is introduced, with what is in its page already."""
        guest = self.held.enter_context(self.host.create(domid, timeout=PATIENCE_S))
        if page:
            self.page(domid)[:] = page
        self.dom0.introduce(domid, 1, guest.port)
        self.dom0.write(f"/local/domain/{domid}", b"")
        self.dom0.set_permissions(f"/local/domain/{domid}", [f"n{domid}"])
        return guest

    def page(self, domid: int) -> mmap.mmap:
        """A domain's memory."""
        handover = self.host._handover({"do": "attach", "domid": domid})
        page = self.held.enter_context(mmap.mmap(handover.page, PAGE_SIZE))
        for descriptor in handover[3:]:
            os.close(descriptor)
        return page

    def records(self) -> list[Record]:
        return records_of(fetch(self.dom0))


def quiet(_done: int, _whole: int) -> None:
    pass


@pytest.fixture
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    """Two hosts."""
    with ExitStack() as held:
        found = []
        for _ in range(2):
            directory = tmp_path_factory.mktemp("xs")
            daemon = held.enter_context(
                start_xsd(directory, "--hypervisor", "emulated")
            )
            found.append(Place(daemon, held))
        yield found


def test_a_guest_goes_on_on_another_host(places: list[Place]) -> None:
    """With half a request and half a reply on its ring, whose page is its memory."""
    here, there = places
    guest = here.guest(5)
    here.dom0.set_quota("nodes", 77, 5)
    guest.write("data/long", b"v" * 1800)
    guest.watch("data", "t", depth=1)
    assert guest.next_event(PATIENCE_S) is not None
    request = encode_frame(Op.WRITE, 8, 0, b"data/late\0v")
    reply = encode_frame(Op.READ, 7, 0, b"v" * 1800)
    guest.send_bytes(encode_frame(Op.READ, 7, 0, b"data/long\0") + request[:20])
    wait_until(
        lambda: guest.fields[RSP_PROD] - guest.fields[RSP_CONS] == RING_SIZE,
        "the ring does not fill",
    )
    wait_until(lambda: bool(_link(here.records()).pending), "it is not taken")

    part = part_of(here.records(), 5)
    other = there.guest(5, bytes(here.page(5)))
    there.dom0.rm("/local/domain/5")
    bring_in(there.dom0, 5, part, quiet)

    received = b""
    while len(received) < len(reply):
        received += other.receive_bytes()
    assert received == reply
    other.send_bytes(request[20:])
    frames = FrameDecoder()
    found: list[Frame] = []
    while len(found) < 2:
        found += frames.feed(other.receive_bytes())
    assert [(each.op, each.payload) for each in found] == [
        (Op.WATCH_EVENT, b"data/late\0t\0"),
        (Op.WRITE, b"OK\0"),
    ]
    assert there.dom0.get_permissions("/local/domain/5/data/long") == [b"n5"]
    assert there.dom0.get_quota("nodes", 5) == 77


def test_a_guest_gets_another_id_where_its_own_is_taken(places: list[Place]) -> None:
    """Its nodes are its own there, too."""
    here, there = places
    here.guest(5).write("data/x", b"v")
    other = there.guest(8)
    other.write("old", b"v")

    bring_in(there.dom0, 8, part_of(here.records(), 5), quiet)

    assert other.read("data/x") == b"v"
    assert other.directory("/local/domain/8") == [b"data"]


@pytest.mark.parametrize(
    ("domid", "reason"),
    [(9, "there is no domain 9"), (8, "domain 8 has no ring: introduce it first")],
)
def test_nothing_is_brought_to_who_cannot_take_it(
    places: list[Place], domid: int, reason: str
) -> None:
    """A domain that is not there, or not introduced."""
    here, there = places
    here.guest(5)
    there.held.enter_context(there.host.create(8))
    there.dom0.write("/local/domain/8", b"")
    there.dom0.set_permissions("/local/domain/8", ["n8"])
    part = part_of(here.records(), 5)

    with pytest.raises(CommandError, match=reason):
        bring_in(there.dom0, domid, part, quiet)


def test_a_domain_must_be_offered_what_it_was_offered(places: list[Place]) -> None:
    """Or more; what it is offered is chosen before it is introduced."""
    here, there = places
    here.guest(5)
    with there.host.create(6) as lesser, there.host.create(7) as same:
        for guest, features in ((lesser, 1), (same, 15)):
            domid = guest.domid
            there.dom0.write(f"/local/domain/{domid}", b"")
            there.dom0.set_permissions(f"/local/domain/{domid}", [f"n{domid}"])
            there.dom0.set_feature(domid, features)
            there.dom0.introduce(domid, 1, guest.port)

        with pytest.raises(CommandError, match="domain 6 knows other features"):
            bring_in(there.dom0, 6, part_of(here.records(), 5), quiet)
        bring_in(there.dom0, 7, part_of(here.records(), 5), quiet)


def test_a_tree_is_not_replaced_under_guests_unless_that_is_wanted(
    places: list[Place],
) -> None:
    """Nor is it by what is of one domain only."""
    here, _ = places
    here.dom0.write("/a", b"1")
    before = here.records()
    here.guest(5)

    with pytest.raises(CommandError, match="domain 5 among them"):
        load(here.dom0, before, quiet, force=False)
    with pytest.raises(CommandError, match="of one domain"):
        load(here.dom0, part_of(here.records(), 5), quiet, force=True)
    assert here.dom0.exists("/local/domain/5")
    load(here.dom0, before, quiet, force=True)

    assert not here.dom0.exists("/local/domain/5")
    paths = [each.path for each in before if isinstance(each, NodeData)]
    assert [e.path for e in here.records() if isinstance(e, NodeData)] == paths


def _link(records: list[Record]) -> ConnectionData:
    (link,) = [
        each for each in records if isinstance(each, ConnectionData) and each.domid == 5
    ]
    return link
