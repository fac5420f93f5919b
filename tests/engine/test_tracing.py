"""xsd.engine.tracing: what is told of what happens, and only if somebody asked."""

from collections.abc import Iterable

import pytest

from tests.engine.support import OK, Client, give, guest_of, run
from xsd.engine import Engine
from xsd.engine.progress import PROTECT_AFTER, PROTECT_MS
from xsd.engine.tracing import DEFAULT_SWITCHES, PAYLOAD_SHOWN, SWITCHES, name_of
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.store.quota import TRANSACTIONS

Told = tuple[str, dict[str, object]]


def told(engine: Engine) -> list[Told]:
    """What was traced since the last call."""
    traced = [notice for notice in engine.take_notices() if notice.wanted]
    assert {notice.level for notice in traced} <= {"debug"}
    return [(notice.event, notice.fields) for notice in traced]


@pytest.fixture
def trace(engine: Engine) -> "Trace":
    """Tracing."""
    return Trace(engine)


class Trace:
    """What switches tracing."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, *switches: str) -> None:
        """Trace what these switches mean from now on."""
        self.engine.take_notices()
        self.engine.trace(switches, on=True)


def test_nothing_is_traced_unless_it_is_switched_on(engine: Engine) -> None:
    """Not even with all switches set."""
    engine.trace(SWITCHES, on=False)
    client = guest_of(engine)
    client.ask(Op.WATCH, b"/a\0t\0")
    client.ask(Op.WRITE, b"/local/domain/1/x\0v")
    engine.disconnect(client.connection)

    assert told(engine) == []
    assert engine.store.watches.count == 0


def test_objects_and_messages_are_traced_unless_it_is_said_otherwise() -> None:
    """As by C's daemon."""
    assert {"obj", "io"} == DEFAULT_SWITCHES


def test_requests_replies_and_events_are_traced_in_their_order(
    engine: Engine, trace: Trace
) -> None:
    """With what is needed to tell whose they are; an event comes before its reply."""
    dom0, guest = Client(engine), guest_of(engine, 5)
    guest.ask(Op.WATCH, b"x\0t\0")
    give(dom0, b"/local/domain/5", b"n5\0")
    trace("io")
    guest.ask(Op.WRITE, b"x\0v")

    about: dict[str, object] = {"connection": guest.connection.id, "domid": 5}
    asked: dict[str, object] = {"request_id": 2, "transaction": 0}
    write = {**about, "message": "WRITE", **asked}
    assert told(engine) == [
        ("io.request", {**write, "length": 3, "payload": b"x\0v"}),
        (
            "io.event",
            {
                **about,
                "message": "WATCH_EVENT",
                "request_id": 0,
                "transaction": 0,
                "length": 4,
                "payload": b"x\0t\0",
            },
        ),
        ("io.reply", {**write, "length": 3, "payload": OK}),
    ]


def test_an_event_that_is_not_sent_is_not_traced(engine: Engine, trace: Trace) -> None:
    """It equals one that still waits."""
    dom0 = Client(engine)
    dom0.ask(Op.WATCH, b"/a\0t\0")
    trace("io")
    dom0.send(dom0.frame(Op.WRITE, b"/a\0v") + dom0.frame(Op.WRITE, b"/a\0w"))
    dom0.take()

    assert [event for event, _ in told(engine)] == [
        "io.request",
        "io.event",
        "io.reply",
        "io.request",
        "io.reply",
    ]


def test_a_refused_request_is_traced_too(engine: Engine, trace: Trace) -> None:
    """And so is a message that is none; a long payload is cut, its length is told."""
    dom0 = Client(engine)
    trace("io")
    dom0.ask(99, b"x" * 4096, 7)

    (request, asked), (reply, refused) = told(engine)
    assert (request, reply) == ("io.request", "io.reply")
    assert asked["message"] == "99"
    assert asked["transaction"] == refused["transaction"] == 7
    assert asked["length"] == 4096
    assert asked["payload"] == b"x" * PAYLOAD_SHOWN
    assert refused["message"] == "ERROR"
    assert refused["payload"] == b"ENOSYS\0"


def test_what_goes_on_in_a_broken_stream_is_not_traced(
    engine: Engine, trace: Trace
) -> None:
    """There is no message in it."""
    dom0 = Client(engine)
    trace("io")
    dom0.send(encode_frame(Op.READ, 0, 0, b"")[:12] + b"\xff" * 4)

    assert told(engine) == []


def test_objects_are_traced_when_they_come_and_go(engine: Engine, trace: Trace) -> None:
    """A connection takes what it has along."""
    trace("obj")
    dom0 = Client(engine)
    dom0.ask(Op.WATCH, b"/a\0t\0")
    dom0.ask(Op.UNWATCH, b"/a\0t\0")
    dom0.ask(Op.TRANSACTION_END, b"F\0", dom0.start())
    dom0.ask(Op.WATCH, b"/b\0u\0")
    dom0.start()
    engine.disconnect(dom0.connection)

    about: dict[str, object] = {"connection": dom0.connection.id, "domid": 0}
    a, b = {"path": b"/a", "token": b"t"}, {"path": b"/b", "token": b"u"}
    assert told(engine) == [
        ("obj.connected", about),
        ("obj.watch_added", {**about, **a}),
        ("obj.watch_removed", {**about, **a}),
        ("obj.transaction_started", {**about, "transaction": 1}),
        ("obj.transaction_ended", {**about, "transaction": 1, "commit": False}),
        ("obj.watch_added", {**about, **b}),
        ("obj.transaction_started", {**about, "transaction": 2}),
        ("obj.watch_removed", {**about, **b}),
        ("obj.transaction_ended", {**about, "transaction": 2, "commit": False}),
        ("obj.disconnected", about),
    ]


def test_a_commit_is_traced_as_one(engine: Engine, trace: Trace) -> None:
    """Whether it worked stands in the reply."""
    dom0 = Client(engine)
    tx = dom0.start()
    trace("obj")
    dom0.ok(Op.TRANSACTION_END, b"T\0", tx)

    ((event, fields),) = told(engine)
    assert (event, fields["commit"]) == ("obj.transaction_ended", True)


def test_domains_are_traced(engine: Engine, trace: Trace) -> None:
    """Whether an operator or the hypervisor says that they end; without a channel."""
    dom0 = Client(engine)
    trace("obj")
    dom0.ok(Op.INTRODUCE, b"5\0001\0001\0")
    dom0.ok(Op.INTRODUCE, b"6\0001\0001\0")
    dom0.ok(Op.RELEASE, b"5\0")
    engine.domains_changed([], [6])
    engine.domains_changed([6], [])

    assert told(engine) == [
        ("obj.domain_introduced", {"domid": 5}),
        ("obj.domain_introduced", {"domid": 6}),
        ("obj.domain_ended", {"domid": 5}),
        ("obj.domain_stopped", {"domid": 6}),
        ("obj.domain_ended", {"domid": 6}),
    ]


def changed(domid: int, what: str, before: int, now: int) -> Told:
    """One account that has changed."""
    fields: dict[str, object] = {
        "domid": domid,
        "what": what,
        "before": before,
        "now": now,
    }
    return ("acc.changed", fields)


def test_what_domains_use_is_traced_when_it_changes(
    engine: Engine, trace: Trace
) -> None:
    """By requests, by the end of connections and by the end of domains."""
    dom0, guest = Client(engine), guest_of(engine, 5)
    trace("acc", "tdb")
    dom0.ok(Op.WRITE, b"/local/domain/5\0")
    dom0.ok(Op.WRITE, b"/local/domain/5\0same")
    dom0.ok(Op.SET_PERMS, b"/local/domain/5\0n5\0")
    guest.ask(Op.WATCH, b"x\0t\0")
    guest.start()
    engine.disconnect(guest.connection)
    engine.domains_changed([5], [])

    assert [each for each in told(engine) if each[0] == "acc.changed"] == [
        changed(0, "nodes", 5, 8),
        changed(0, "nodes", 8, 7),
        changed(5, "nodes", 0, 1),
        changed(5, "watches", 0, 1),
        changed(5, "transactions", 0, 1),
        changed(5, "watches", 1, 0),
        changed(5, "transactions", 1, 0),
        changed(5, "nodes", 1, 0),
    ]


def test_each_refusal_for_a_quota_is_traced(engine: Engine, trace: Trace) -> None:
    """The log itself has the first one of a domain only."""
    guest = guest_of(engine, 5)
    engine.set_limit(5, TRANSACTIONS, 1)
    trace("acc")
    for _ in range(3):
        guest.ask(Op.TRANSACTION_START, b"\0")
    notices = engine.take_notices()

    assert [n.event for n in notices if n.event != "acc.changed"] == [
        "acc.refused",
        "quota.exceeded",
        "acc.refused",
    ]
    assert notices[1].fields == {
        "connection": guest.connection.id,
        "domid": 5,
        "owner": 5,
        "quota": "transactions",
        "limit": 1,
        "path": b"",
    }


def test_changes_of_the_store_are_traced_as_a_watch_on_the_root_tells_them(
    engine: Engine, trace: Trace
) -> None:
    """Whoever made them; a removed tree is one change, as is a whole path."""
    dom0, guest = Client(engine), guest_of(engine, 5)
    trace("tdb")
    dom0.ok(Op.WRITE, b"/a/b\0value")
    tx = dom0.start()
    dom0.ok(Op.WRITE, b"/a/b\0w", tx)
    dom0.ok(Op.RM, b"/a/b\0", tx)
    dom0.ok(Op.MKDIR, b"/c\0", tx)
    dom0.ok(Op.TRANSACTION_END, b"T\0", tx)
    dom0.ok(Op.SET_PERMS, b"/c\0n5\0r0\0")
    guest.ok(Op.WRITE, b"/c/d\0")
    dom0.ok(Op.WRITE, b"/\0root")
    dom0.ok(Op.RM, b"/c\0")

    n0, c = b"n0\0", b"n5\0r0\0"

    def of(client: Client, request: str) -> dict[str, object]:
        caller = client.connection.caller
        number = client.connection.id
        return {"connection": number, "domid": caller.domid, "request": request}

    def changed(path: bytes, length: int, perms: bytes) -> dict[str, object]:
        return {"path": path, "length": length, "permissions": perms}

    commit = {**of(dom0, "TRANSACTION_END"), "transaction": tx}
    write, rm = of(dom0, "WRITE"), of(dom0, "RM")
    assert told(engine) == [
        ("tdb.changed", {**changed(b"/a/b", 5, n0), **write}),
        ("tdb.removed", {"path": b"/a/b", **commit}),
        ("tdb.changed", {**changed(b"/c", 0, n0), **commit}),
        ("tdb.changed", {**changed(b"/c", 0, c), **of(dom0, "SET_PERMS")}),
        ("tdb.changed", {**changed(b"/c/d", 0, c), **of(guest, "WRITE")}),
        ("tdb.changed", {**changed(b"/", 4, n0), **write}),
        ("tdb.removed", {"path": b"/c", **rm}),
    ]


def test_what_the_end_of_a_domain_changes_has_no_request(
    engine: Engine, trace: Trace
) -> None:
    """The hypervisor tells of it; special nodes are not traced."""
    dom0 = Client(engine)
    guest_of(engine, 5)
    give(dom0, b"/own", b"n5\0")
    trace("tdb")
    dom0.ok(Op.SET_PERMS, b"@releaseDomain\0n0\0")
    engine.domains_changed([5], [])

    assert told(engine) == [("tdb.removed", {"path": b"/own"})]


def test_the_trace_is_told_of_changes_as_long_as_it_is_needed(engine: Engine) -> None:
    """Once, and it is no watch of anybody's."""
    store = engine.store
    wanted: list[tuple[Iterable[str], bool, bool]] = [
        (["tdb"], True, True),
        (["tdb", "io"], True, True),
        (["io"], True, False),
        (["tdb"], True, True),
        (["tdb"], False, False),
    ]
    for switches, on, listening in wanted:
        engine.trace(switches, on=on)
        assert store.listening is listening
        assert len(engine.core.consumers) == listening
        assert (store.watches.count, store.usage.watches.of(0)) == (0, 0)


def make_wait(reader: Client, writer: Client) -> None:
    """Have a client's transaction protected, and another one wait for it."""
    writer.ok(Op.WRITE, b"/a\0v")
    for _ in range(PROTECT_AFTER):
        tx = reader.start()
        reader.ask(Op.READ, b"/a\0", tx)
        reader.ok(Op.WRITE, b"/b\0v", tx)
        writer.ok(Op.WRITE, b"/a\0other")
        assert reader.reply(Op.TRANSACTION_END, b"T\0", tx)[0] == Op.ERROR
    assert reader.start() == PROTECT_AFTER + 1
    writer.post(Op.WRITE, b"/a\0late")
    assert writer.take() == []


def protection(reader: Client, writer: Client) -> list[Told]:
    """What is told of that, up to where it waits."""
    mine: dict[str, object] = {"connection": reader.connection.id, "domid": 0}
    late: dict[str, object] = {
        "connection": writer.connection.id,
        "domid": 0,
        "request": "WRITE",
        "path": b"/a",
        "waits_for": reader.connection.id,
    }
    return [
        ("wrl.protected", {**mine, "conflicts": PROTECT_AFTER}),
        ("wrl.waits", late),
    ]


@pytest.mark.parametrize("ends", ["request", "time", "client"])
def test_the_protection_of_a_transaction_is_traced(
    engine: Engine, trace: Trace, ends: str
) -> None:
    """Whose it is, who waits for it, that it is over for whatever reason; each once."""
    reader, writer = Client(engine), Client(engine)
    trace("wrl")
    make_wait(reader, writer)
    run(engine)
    if ends == "request":
        reader.ok(Op.TRANSACTION_END, b"F\0", PROTECT_AFTER + 1)
    elif ends == "time":
        run(engine, PROTECT_MS)
    else:
        engine.disconnect(reader.connection)

    over = ("wrl.over", {"connection": reader.connection.id, "domid": 0})
    assert told(engine) == [*protection(reader, writer), over]


def test_message_types_have_names_or_numbers() -> None:
    """Whatever a client sends."""
    assert name_of(Op.READ) == "READ"
    assert name_of(2**32 - 1) == "4294967295"


def test_a_trace_of_a_store_with_another_privileged_domain_works() -> None:
    """Its clients are the cause."""
    engine = Engine(Store(3))
    engine.trace(["tdb"], on=True)
    Client(engine).ok(Op.WRITE, b"/a\0")

    ((name, fields),) = told(engine)
    assert (name, fields["domid"]) == ("tdb.changed", 3)
