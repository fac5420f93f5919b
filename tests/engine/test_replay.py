"""xsd.engine.replay: the same inputs make an equal engine, and others do not."""

from collections.abc import Callable
from typing import final

import pytest

from tests.engine.played import Played
from tests.engine.support import Client, give, guest_at_home, run
from xsd.engine import Connection, Engine
from xsd.engine.guests import Guests
from xsd.engine.inputs import CAME, KINDS, REQUEST, WENT, Input, MemoryTape
from xsd.engine.replay import DivergenceError, replay
from xsd.engine.state import describe, differences
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.store.domains import Domain


@final
class Untouched(Guests):
    """The world of a replay: nobody may ask it anything."""

    def unique_id(self, domid: int) -> int | None:
        raise AssertionError(domid)

    def connect(self, domain: Domain, port: int, connection: Connection) -> bool:
        raise AssertionError(domain.domid, port, connection)

    def reconnect(self, domain: Domain, port: int) -> None:
        raise AssertionError(domain.domid, port)

    def disconnect(self, domain: Domain) -> None:
        raise AssertionError(domain.domid)


@final
class World:
    """An engine with a tape and a hypervisor, and a client of dom0."""

    def __init__(self) -> None:
        self.engine = Engine(Store())
        self.guests = Played()
        self.guests.there.update({domid: 100 + domid for domid in (6, 7, 8)})
        self.engine.attach(self.guests)
        self.tape = MemoryTape()
        self.engine.tape = self.tape
        self.dom0 = Client(self.engine)

    def introduce(self, domid: int = 5, errno: Errno | None = None) -> Client:
        """INTRODUCE, which is refused with an errno or gives a channel."""
        payload = b"%d\x001\x007\0" % domid
        if errno is not None:
            assert self.dom0.errno(Op.INTRODUCE, payload) is errno
            return self.dom0
        self.dom0.ok(Op.INTRODUCE, payload)
        channel = self.guests.links.get(domid)
        return Client(self.engine, domid, channel)

    def again(self, inputs: list[Input]) -> Engine:
        """Another engine that has carried inputs out."""
        engine = Engine(Store())
        engine.attach(Untouched())
        assert replay(engine, inputs) == len(inputs)
        return engine

    def is_as(self, inputs: list[Input]) -> bool:
        """Tell whether these inputs lead to where the engine is."""
        try:
            engine = self.again(inputs)
        except DivergenceError:
            return False
        return not differences(describe(self.engine), describe(engine))


def clients(world: World) -> None:
    """They come and go, with what they had; a domain is known by its client."""
    stays, goes = Client(world.engine, 7), Client(world.engine)
    for each in (stays, goes):
        each.ask(Op.WATCH, b"/a\0t\0")
        each.start()
    world.engine.disconnect(goes.connection)
    Client(world.engine).ask(Op.WATCH, b"/b\0t\0")


def nodes(world: World) -> None:
    """Written, made, removed; with permissions, order and generations."""
    for path in (b"/a/z", b"/a/y", b"/a/x", b"/b"):
        world.dom0.ok(Op.WRITE, path + b"\0" + path)
    world.dom0.ok(Op.RM, b"/a/y\0")
    world.dom0.ok(Op.MKDIR, b"/a/y\0")
    world.dom0.ok(Op.SET_PERMS, b"/a/x\0n5\0r6\0")
    world.dom0.ok(Op.SET_PERMS, b"@releaseDomain\0n0\0r5\0")


def watches(world: World) -> None:
    """In their order, with tokens and depths; some are given up."""
    guest = world.introduce()
    for path in (b"/b", b"/a", b"rel", b"@introduceDomain", b"/c"):
        guest.ask(Op.WATCH, path + b"\0t\x001\0")
    guest.ask(Op.UNWATCH, b"/a\0t\0")
    world.dom0.ask(Op.WATCH, b"/a\0t\0")


def transactions(world: World) -> None:
    """Open ones with what they did and rely on, and some that have ended."""
    one, other = world.dom0, Client(world.engine)
    give(one, b"/a", b"n0\0")
    for _ in range(2):
        tx = one.start()
        if tx == 2:
            one.ask(Op.READ, b"/a\0", tx)
            one.ask(Op.DIRECTORY, b"/\0", tx)
        one.ok(Op.WRITE, b"/t/%d\0v" % tx, tx)
    one.ok(Op.TRANSACTION_END, b"T\0", 1)
    other.ok(Op.WRITE, b"/a\0w")
    tx = one.start()
    one.ask(Op.READ, b"/a\0", tx)
    other.ok(Op.RM, b"/a\0")
    assert one.errno(Op.TRANSACTION_END, b"T\0", tx) is Errno.EAGAIN
    one.ok(Op.TRANSACTION_END, b"F\0", one.start())


def restarted(world: World) -> None:
    """A channel that began anew has nothing of before."""
    guest = world.introduce()
    guest.ask(Op.WATCH, b"/a\0t\0")
    guest.start()
    world.engine.restart(guest.connection)


def reset(world: World) -> None:
    """RESET_WATCHES, and INTRODUCE of a known domain."""
    for domid in (5, 6):
        guest = world.introduce(domid)
        guest.ask(Op.WATCH, b"/a\0t\0")
        guest.start()
        if domid == 5:
            guest.ask(Op.RESET_WATCHES)
        else:
            world.introduce(domid)


def refused(world: World) -> None:
    """A domain that cannot be connected, for a reason or for a defect."""
    give(world.dom0, b"/home", b"n6\0")
    for error, errno in (
        (XenStoreError(Errno.EACCES, "no page"), Errno.EACCES),
        (ZeroDivisionError(), Errno.EIO),
    ):
        world.guests.error = error
        for domid in (5, 6):
            world.introduce(domid, errno)
    world.guests.error = None
    world.introduce(5)
    world.guests.error = ZeroDivisionError()
    world.introduce(5, Errno.EIO)


def without(world: World) -> None:
    """Domains that the hypervisor does not have, and the privileged one."""
    world.guests.lenient = True
    world.introduce(5)
    world.introduce(0)
    world.guests.lenient = False
    world.introduce(6)


def replaced(world: World) -> None:
    """Another domain has the id: the first has ended, whoever comes after."""
    for domid in (5, 6):
        world.introduce(domid)
        give(world.dom0, b"/own%d" % domid, b"n%d\0" % domid)
        give(world.dom0, b"/for%d" % domid, b"n0\0r%d\0" % domid)
        world.guests.there[domid] += 100
        if domid == 6:
            world.guests.error = XenStoreError(Errno.EINVAL, "no page")
        world.introduce(domid, Errno.EINVAL if domid == 6 else None)


def ends(world: World) -> None:
    """By RELEASE, and by the hypervisor: shut down, resumed, gone."""
    for domid in (5, 6, 7, 8):
        world.introduce(domid)
        give(world.dom0, b"/own%d" % domid, b"n%d\0" % domid)
    world.dom0.ok(Op.SET_TARGET, b"7\x008\0")
    world.dom0.ok(Op.RELEASE, b"5\0")
    world.engine.domains_changed([6], [7, 8])
    world.dom0.ok(Op.RESUME, b"7\0")
    client = Client(world.engine, 8)
    world.engine.domains_changed([8], [])
    world.engine.disconnect(client.connection)


def orphans(world: World) -> None:
    """What ended domains leave is dom0's, from a time on."""
    for domid, keep in ((5, False), (6, True)):
        world.introduce(domid)
        give(world.dom0, b"/own%d" % domid, b"n%d\0" % domid)
        if keep:
            world.engine.keep_orphans(keep=True)
        world.engine.domains_changed([domid], [])


def limits(world: World) -> None:
    """Hard and soft ones, of all and of one; maxima, and what they refuse."""
    guest = guest_at_home(world.engine, 7)
    world.engine.set_limit(-1, "nodes", 3)
    world.engine.set_limit(7, "soft-memory", 300)
    world.dom0.ok(Op.SET_QUOTA, b"7\0watches\x001\0")
    for name, last in ((b"a", Op.WRITE), (b"b", Op.WRITE), (b"c", Op.ERROR)):
        assert guest.ask(Op.WRITE, name + b"\0v")[0][0] == last
    guest.ask(Op.WATCH, b"a\0t\0")
    assert guest.errno(Op.WATCH, b"b\0t\0") is Errno.ENOSPC
    world.dom0.ask(Op.CONTROL, b"quota\0max\0-r\0")
    assert guest.errno(Op.READ, b"x" * 3000 + b"\0") is Errno.EINVAL
    world.dom0.ok(Op.CONTROL, b"quota-soft\0set\0memory\x00999\0")


def features(world: World) -> None:
    """Of a domain that is known but not introduced yet."""
    Client(world.engine, 5)
    world.dom0.ok(Op.SET_FEATURE, b"5\x002\0")
    world.introduce()


def found(world: World) -> None:
    """Domains that are there without INTRODUCE, if they can be connected."""
    for domid in (5, 6):
        world.engine.introduce_waiting(domid)
        Client(world.engine, domid, world.guests.links.get(domid)).start()
        world.guests.error = XenStoreError(Errno.EINVAL, "no page")
    world.guests.error = None


Scenario = Callable[[World], None]
SCENARIOS: list[Scenario] = [
    clients,
    nodes,
    watches,
    transactions,
    restarted,
    reset,
    refused,
    without,
    replaced,
    ends,
    orphans,
    limits,
    features,
    found,
]
scenarios = pytest.mark.parametrize("scenario", SCENARIOS)


@pytest.fixture
def world(scenario: Scenario) -> World:
    """A world in which a scenario has been played."""
    world = World()
    scenario(world)
    return world


def test_every_kind_of_input_is_in_some_scenario() -> None:
    """Or what follows says nothing about it."""
    seen: set[str] = set()
    for scenario in SCENARIOS:
        world = World()
        scenario(world)
        seen.update(KINDS[entry.kind] for entry in world.tape.inputs)

    assert seen == set(KINDS)


@scenarios
def test_the_replayed_engine_is_equal(world: World) -> None:
    """And goes on from there as the first one does; nothing outside was asked."""
    first, again = world.engine, world.again(world.tape.inputs)
    assert differences(describe(first), describe(again)) == []

    for engine in (first, again):
        client = Client(engine)
        for payload in (b"/a\0next", b"/own5/x\0next"):
            client.ask(Op.WRITE, payload)
        for connection in engine.connections:
            engine.disconnect(connection)
    assert differences(describe(first), describe(again)) == []


@scenarios
def test_an_input_that_is_missing_is_noticed(world: World) -> None:
    """Whichever it is, since each has left something: on the way, or at the end."""
    inputs = world.tape.inputs
    unnoticed = [
        inputs[place]
        for place in range(len(inputs))
        if world.is_as(inputs[:place] + inputs[place + 1 :])
    ]

    assert unnoticed == []


@scenarios
def test_a_replay_leaves_nothing_to_send_and_nothing_to_do(world: World) -> None:
    """What was put out has left before, and the log has it."""
    engine = world.again(world.tape.inputs)

    assert (engine.take_dirty(), engine.take_notices()) == ([], [])
    assert all(each.outbox.size == 0 for each in engine.connections)
    assert all(each.tally.count == 0 for each in engine.connections)
    run(engine)
    assert not engine.busy


def test_what_a_client_has_read_is_not_state() -> None:
    """Two engines are equal though the output of one was never taken."""
    world = World()
    guest = world.introduce()
    guest.ask(Op.WATCH, b"@introduceDomain\0t\0")
    for domid in (6, 7):
        world.introduce(domid)
    guest.post(Op.GET_DOMAIN_PATH, b"5\0")
    assert world.engine.store.usage.unsent.of(5) > 0

    assert world.is_as(world.tape.inputs)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Input(WENT, 6, 9), "there is no connection 9"),
        (Input(CAME, 6, 9), "LookupError(Connection(#1, dom0))"),
        (Input(CAME, 7, 1), "generation 6"),
        (Input(CAME, 6, 1, answers=(4,)), "1 answers were not asked for"),
        (Input(6, 6, name="no", numbers=(1,)), "EINVAL: unknown quota: no"),
    ],
)
def test_a_divergence_says_where_and_why(entry: Input, reason: str) -> None:
    """With the input itself."""
    engine = Engine(Store())
    assert engine.store.generation == 6
    with pytest.raises(DivergenceError) as caught:
        replay(engine, [entry])

    assert (caught.value.place, caught.value.entry) == (0, entry)
    assert str(caught.value) == f"input 0, {entry!r}: {reason}"


def test_a_request_of_nobody_is_a_divergence() -> None:
    """Its connection came with an input that is missing."""
    world = World()
    world.dom0.ok(Op.WRITE, b"/a\0v")
    (_came, write) = world.tape.inputs
    assert write.kind == REQUEST

    with pytest.raises(DivergenceError, match="there is no connection 1"):
        world.again([write])
