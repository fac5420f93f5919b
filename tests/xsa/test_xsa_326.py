"""XSA-326: guests that use up the daemon's memory."""

from typing import Final

import pytest

from tests.support.homes import welcome
from tests.support.hosts import AnyHost, Host, frames, wait_ignored
from tests.support.processes import Place, memory, wait_until
from tests.xsa.support import World, home
from xsd.daemon.config import load
from xsd.daemon.service import make_store
from xsd.engine import HIGH_WATER
from xsd.engine.core import UNSENT_MAX
from xsd.protocol.errors import Errno
from xsd.protocol.frame import encode_frame
from xsd.protocol.limits import RING_SIZE
from xsd.protocol.ops import Op
from xsd.protocol.ring import ERROR_COMMUNICATION
from xsd.store.quota import (
    DEFAULTS,
    MEMORY,
    NODES,
    OUTSTANDING,
    TRANSACTION_NODES,
    TRANSACTIONS,
    WATCHES,
)
from xsd.testing import Guest, PretendedHost, Session
from xsd.testing.inprocess import EVENT_TIMEOUT_MS
from xsd.testing.session import OK

MIB: Final = 1 << 20

REPLY_MAX: Final = 16 + 4096

NOT_READ: Final = encode_frame(Op.READ, 1, 0, b"large\0")
"""A request whose replies are larger than the ring."""


class Flood:
    """A guest that makes the same request without end and reads nothing."""

    def __init__(self, guest: Guest, request: bytes) -> None:
        self._guest = guest
        self._request = request
        self._sent = 0

    def push(self) -> int:
        """Put as many bytes into the ring as it takes; return their number."""
        begun = self._sent % len(self._request)
        data = (self._request * (2 + RING_SIZE // len(self._request)))[begun:]
        size = self._guest.ring.write_requests(data)
        self._guest.notify()
        self._sent += size
        return size


# Requests whose replies are not read.


def test_requests_are_left_where_they_are_if_replies_are_not_read(host: Host) -> None:
    """The daemon keeps some replies, then stops reading: the guest's ring is full."""
    guest = host.guest(1)
    host.dom0.write(home(1) + b"/large", b"x" * 4000)
    host.dom0.set_permissions(home(1) + b"/large", ["n1"])
    flood = Flood(guest, NOT_READ)
    quiet = 0

    def is_stuck() -> bool:
        nonlocal quiet
        quiet = 0 if flood.push() else quiet + 1
        return quiet == 5

    wait_until(is_stuck, "it always takes more")
    (connection,) = host.connections_of(1)
    kept = host.run(lambda: connection.outbox.size)
    assert 0 < kept <= DEFAULTS[OUTSTANDING] * REPLY_MAX
    assert host.run(lambda: len(connection.backlog)) <= RING_SIZE // len(NOT_READ)
    assert host.is_served()
    assert len(guest.receive_bytes()) > 0


def test_a_guest_has_so_many_requests_under_way_and_no_more(
    world: World, hostile: Session
) -> None:
    """The others wait unanswered until it has read some replies."""
    for number in range(100):
        hostile.post(Op.WRITE, b"%d\0value" % number)

    connection = world.connection(hostile)
    assert hostile.unanswered == 100
    assert connection.tally.count == DEFAULTS[OUTSTANDING]
    assert len(connection.backlog) == 100 - DEFAULTS[OUTSTANDING]
    assert world.nodes(1) == 1 + DEFAULTS[OUTSTANDING]
    assert not world.is_listened_to(hostile)
    while hostile.unanswered:
        assert len(hostile.take()) == DEFAULTS[OUTSTANDING]


# Events that are not read.


def test_events_that_are_not_read_expire(
    world: World, dom0: Session, hostile: Session
) -> None:
    """With all memory of them; replies stay."""
    for number in range(20):
        token = b"%02d" % number + b"t" * 1000
        hostile.ok(Op.WATCH, home(1) + b"\0" + token + b"\0")
    hostile.post(Op.GET_DOMAIN_PATH, b"1\0")
    kept = world.unsent(hostile)
    for number in range(50):
        dom0.ok(Op.MKDIR, home(1) + b"/%d\0" % number)
    assert world.unsent(hostile) > 50 * 20 * 1000
    world.xenstore.advance(EVENT_TIMEOUT_MS - 1)
    assert world.unsent(hostile) > 50 * 20 * 1000
    world.xenstore.advance(1)

    assert world.unsent(hostile) == kept
    assert hostile.take() == [(Op.GET_DOMAIN_PATH, home(1) + b"\0")]
    (notice,) = world.notices("warning")
    assert (notice.event, notice.fields["what"]) == ("events.expired", 50 * 20)


def deaf_of(host: Host) -> Guest:
    """Domain 1, which watches its home many times with long tokens."""
    deaf = host.guest(1)
    for number in range(100):
        deaf.watch(home(1), b"%d" % number + b"t" * 3900)
    return deaf


def change_what_it_watches(host: Host) -> None:
    """Have new events queued for domain 1, none of them equal to one that waits."""
    for number in range(5):
        host.dom0.mkdir(home(1) + b"/d")
        host.dom0.mkdir(home(1) + b"/d/%d" % number)
    host.dom0.rm(home(1) + b"/d")
    generation = host.run(lambda: host.engine.store.generation)
    host.dom0.mkdir(home(1) + b"/n%d" % generation)


def test_events_beyond_the_memory_of_a_guest_are_lost(host: Host) -> None:
    """They are its own and nobody else's; once it reads, it is told again."""
    deaf = deaf_of(host)
    usage = host.engine.store.usage
    while not any(each.event == "quota.exceeded" for each in host.notices):
        change_what_it_watches(host)
    change_what_it_watches(host)

    assert host.run(lambda: usage.memory_of(1)) <= DEFAULTS[MEMORY]
    assert host.run(lambda: usage.memory_of(1)) > DEFAULTS[MEMORY] - 2 * REPLY_MAX
    assert host.is_served()
    (connection,) = host.connections_of(1)
    while host.run(lambda: connection.outbox.size):
        deaf.receive_bytes()
    host.dom0.mkdir(home(1) + b"/again")
    host.until(lambda: connection.outbox.size > 0)


def test_whose_events_pile_up_is_given_up(host: Host) -> None:
    """Without a quota: it is told so in its ring, and goes on as a domain."""
    deaf = deaf_of(host)
    host.dom0.set_quota("memory", 0, 1)
    while host.connections_of(1):
        change_what_it_watches(host)

    wait_ignored(deaf, ERROR_COMMUNICATION)
    assert host.watches() == 0
    assert host.dom0.is_domain_introduced(1)


def test_a_guest_waits_for_another_on_rings(host: Host) -> None:
    """And goes on when that one is killed."""
    deaf, loud = host.guest(1), host.guest(2)
    loud.set_permissions(home(2), ["n2", "r1"])
    deaf.watch(home(2), b"t" * 500)
    requests = [
        encode_frame(Op.MKDIR, number, 0, b"%d\0" % number) for number in range(25)
    ]
    loud.send_bytes(b"".join(requests))
    (connection,) = host.connections_of(2)
    host.until(lambda: connection.tally.count >= DEFAULTS[OUTSTANDING])
    assert host.is_served()
    host.dom0.mkdir(home(2) + b"/by-dom0")
    host.end(1)

    assert len(frames(loud, 25)) == 25


# Everything is counted, and checked before it is done.


def test_nodes_of_a_domain_that_is_not_introduced_are_counted(
    anywhere: AnyHost,
) -> None:
    """Those that dom0 gives it before count for its quota afterwards."""
    anywhere.play("""
        0 quota nodes 20; create 1; 0 mkdir ~1/{0..14}; 0 set ~1 n1; 0 set ~1/{0..14} n1
        nodes 1 -> 16
        admit 1; mkdir mine{0..3}; mkdir more -> ENOSPC
        end 1; nodes 1 -> 0
    """)


def test_transactions_are_bounded_in_number_and_size(
    world: World, hostile: Session
) -> None:
    """Ten of them with 2,000 nodes each do not come about."""
    before = world.counts()
    numbers = [hostile.start() for _ in range(DEFAULTS[TRANSACTIONS])]
    assert hostile.refused(Op.TRANSACTION_START, b"\0") == Errno.ENOSPC
    for number in numbers:
        refused = [
            hostile.errno(Op.MKDIR, b"%d/%d\0" % (node // 50, node), number)
            for node in range(2000)
        ]
        made = refused.count(None)
        assert made < DEFAULTS[NODES]
        # It has failed with the first one, and goes no further.
        rest = [Errno.ENOMEM] * (1999 - made)
        assert refused[made:] == [Errno.ENOSPC, *rest]
        assert hostile.refused(Op.TRANSACTION_END, b"T\0", number) == Errno.ENOMEM

    assert world.counts() == before


@pytest.mark.parametrize("place", [b"/tool/%d\0", home(1) + b"/%d\0"])
def test_reading_counts_for_the_size_of_a_transaction(
    world: World, hostile: Session, place: bytes
) -> None:
    """What it relied on has to be remembered, so far; also what was refused or missing.

    A transaction that has failed remembers no more, and reading in it is answered.
    """
    number = hostile.start()
    most = DEFAULTS[TRANSACTION_NODES] + 10
    answers = [hostile.refused(Op.READ, place % node, number) for node in range(most)]
    assert answers[0] is answers[-1]
    assert answers.count(Errno.ENOSPC) == 1
    kept = world.memory(1)
    for node in range(10_000, 12_000):
        hostile.refused(Op.READ, place % node, number)

    assert world.memory(1) == kept < DEFAULTS[MEMORY] // 4
    assert hostile.refused(Op.TRANSACTION_END, b"T\0", number) == Errno.ENOMEM


# A limit, and the request that meets it.
LIMITS: Final = [
    ("nodes 2", "write a/b/c value"),
    ("nodes 2", "mkdir a"),
    ("node-size 1900", "write data x*3000"),
    ("node-size 1900", "mkdir data/x*1900"),
    ("node-permissions 5", f"set data n1{' r0' * 10}"),
    ("watches 1", "watch data t"),
    ("transactions 1", "start no"),
    ("path-max 2048", f"mkdir data{'/x' * 1500}"),
]

LOUD: Final = f"""
    enter 1; 2 set ~2 n2 r1; 1 watch ~2 t
    2 post mkdir {{1..100}}; 2 answered -> {DEFAULTS[OUTSTANDING]}
"""
"""A guest that does not read what it is told, and one that changes what it sees."""

HEARD: Final = " ".join([f"~2/{each + 1}:t" for each in range(DEFAULTS[OUTSTANDING])])

TOLD: Final = " ".join([f"d/{each + 1}:t" for each in range(DEFAULTS[WATCHES])])

RULES: Final[dict[str, str]] = {
    "equal events wait once, while their watcher sleeps": """
        watch data t; 0 write ~1/data {1..1000}; hear -> data:t
    """,
    "a tree that goes is one event for each watch, however many nodes there were": f"""
        write d/{{1..{DEFAULTS[WATCHES]}}}/below value
        watch d/{{1..{DEFAULTS[WATCHES]}}} t
        0 write ~1/d/x/{{1..1000}} value; 0 watch ~1/d/x/{{1..1000}} t
        0 rm ~1/d; 0 hear; hear -> {TOLD}
    """,
    # Each may be about another domain: 16 bytes of header and 17 of payload.
    "special events are not merged; they expire like others": f"""
        watch @releaseDomain t; {"0 introduce 30 1 1; 0 release 30;" * 100}
        unsent 1 -> 3300; advance {EVENT_TIMEOUT_MS}; unsent 1 -> 0
    """,
    # A reply and an event of each of them are under way when it goes on.
    "who causes events waits for whoever is told, who reads and so lets it go on": f"""
        {LOUD}; 0 mkdir ~2/by-dom0; 1 hear -> {HEARD} ~2/by-dom0:t
        2 answered -> {DEFAULTS[OUTSTANDING] // 2}; 2 close; 1 hear
    """,
    "nobody waits for ever for whoever is told, whose events expire": f"""
        {LOUD}; advance {EVENT_TIMEOUT_MS}
        2 answered -> {DEFAULTS[OUTSTANDING] // 2}; 2 close; 1 hear
    """,
    **{
        f"nobody waits for ever for whoever is told, and ends: {way}": f"""
            {LOUD}; {way}; 2 answered -> {DEFAULTS[OUTSTANDING]}; 2 close
        """
        for way in ("1 close", "0 release 1")
    },
    # Not a single step is made and taken back.
    **{
        f"{limit}: {request[:20]} is checked before anything is done": f"""
            write data x*200; watch data other; start t1; limit {limit}; note
            {request} -> ENOSPC|EINVAL; same still; t1 abort
        """
        for limit, request in LIMITS
    },
}


@pytest.mark.parametrize("rule", RULES)
def test_what_one_guest_needs_is_bounded(world: World, rule: str) -> None:
    """By what it has, and before it is made."""
    world.play(RULES[rule])


def test_all_limits_hold_without_any_configuration() -> None:
    """Nothing has to be set for a daemon to be safe."""
    store = make_store(load({}, []))

    assert {name: store.quotas.limit(1, name) for name in DEFAULTS} == DEFAULTS
    assert all(limit > 0 for limit in DEFAULTS.values())


# All together, in a process.


@pytest.mark.slow
def test_guests_that_never_read_do_not_fill_the_memory(place: Place) -> None:
    """A daemon with default settings, some deaf guests and a busy dom0."""
    process = place.start("--hypervisor", "emulated")
    with (
        place.client() as dom0,
        PretendedHost(f"{place.socket}.hypervisor") as hypervisor,
        hypervisor.create(1) as first,
        hypervisor.create(2) as second,
        hypervisor.create(7) as bystander,
    ):
        for guest in (first, second, bystander):
            welcome(dom0, guest.domid, guest.port)
        dom0.set_permissions(home(1), ["n1", "r2"])
        bystander.write("data", b"1")
        dom0.write(home(1) + b"/large", b"x" * 4000)
        floods = [
            Flood(first, NOT_READ),
            Flood(second, encode_frame(Op.GET_DOMAIN_PATH, 1, 0, b"1\0")),
        ]
        before = memory(process.pid, "VmHWM")
        for guest in (first, second):
            for number in range(DEFAULTS[WATCHES]):
                guest.watch(home(1), b"%d" % number + b"t" * 1000)
        for number in range(400):
            dom0.mkdir(home(1) + b"/%d" % number)
            for flood in floods:
                flood.push()
            assert bystander.read("data") == b"1"

        # 100 MB were on their way to the two of them.
        assert memory(process.pid, "VmHWM") - before < 2 * UNSENT_MAX + 24 * MIB
        assert dom0.control("check") == b"OK"


def test_the_bounds_are_what_they_are_said_to_be() -> None:
    """Events beside replies: a guest is held back long before it is given up."""
    replies = DEFAULTS[OUTSTANDING] * REPLY_MAX

    assert replies < HIGH_WATER < UNSENT_MAX
    assert len(OK) < REPLY_MAX
