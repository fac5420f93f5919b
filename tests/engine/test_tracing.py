"""xsd.engine.tracing: what is told of what happens, and only if somebody asked."""

import pytest

from tests.engine.support import OK, Client, give, guest_of, run
from xsd.engine import Engine
from xsd.engine.progress import PROTECT_AFTER, PROTECT_MS
from xsd.engine.tracing import DEFAULT_SWITCHES, PAYLOAD_SHOWN, SWITCHES, name_of
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.store.quota import TRANSACTIONS

Fields = dict[str, object]
Told = tuple[str, Fields]


def told(engine: Engine) -> list[Told]:
    """What was traced since the last call."""
    traced = [notice for notice in engine.take_notices() if notice.wanted]
    assert {notice.level for notice in traced} <= {"debug"}
    return [(notice.event, notice.fields) for notice in traced]


def trace(engine: Engine, *switches: str) -> None:
    """Trace what these switches mean from now on."""
    engine.take_notices()
    engine.trace(switches, on=True)


def of(client: Client, **more: object) -> Fields:
    """Whose something is, and what it is."""
    connection = client.connection
    return {"connection": connection.id, "domid": connection.caller.domid, **more}


def test_nothing_is_traced_unless_it_is_switched_on(engine: Engine) -> None:
    """Not even with all switches set; two are, unless it is said otherwise (as C's)."""
    assert {"obj", "io"} == DEFAULT_SWITCHES
    engine.trace(SWITCHES, on=False)
    client = guest_of(engine)
    client.ask(Op.WATCH, b"/a\0t\0")
    client.ask(Op.WRITE, b"/local/domain/1/x\0v")
    engine.disconnect(client.connection)

    assert told(engine) == []


def test_requests_replies_and_events_are_traced_in_their_order(engine: Engine) -> None:
    """With what is needed to tell whose they are; an event comes before its reply.

    One that is not sent, since it equals one that still waits, is not traced.
    """
    dom0, guest = Client(engine), guest_of(engine, 5)
    guest.ask(Op.WATCH, b"x\0t\0")
    give(dom0, b"/local/domain/5", b"n5\0")
    trace(engine, "io")
    guest.send(guest.frame(Op.WRITE, b"x\0v") + guest.frame(Op.WRITE, b"x\0w"))
    guest.take()

    def message(name: str, number: int, payload: bytes) -> Fields:
        length = len(payload)
        about = of(guest, message=name, request_id=number, transaction=0)
        return {**about, "length": length, "payload": payload}

    assert told(engine) == [
        ("io.request", message("WRITE", 2, b"x\0v")),
        ("io.event", message("WATCH_EVENT", 0, b"x\0t\0")),
        ("io.reply", message("WRITE", 2, OK)),
        ("io.request", message("WRITE", 3, b"x\0w")),
        ("io.reply", message("WRITE", 3, OK)),
    ]


def test_a_refused_request_is_traced_too(engine: Engine, dom0: Client) -> None:
    """And so is a message that is none; a long payload is cut, its length is told.

    What goes on in a broken stream is not: there is no message in it.
    """
    trace(engine, "io")
    dom0.ask(99, b"x" * 4096, 7)

    (request, asked), (reply, refused) = told(engine)
    assert (request, reply) == ("io.request", "io.reply")
    assert (asked["message"], asked["length"]) == ("99", 4096)
    assert asked["transaction"] == refused["transaction"] == 7
    assert asked["payload"] == b"x" * PAYLOAD_SHOWN
    assert (refused["message"], refused["payload"]) == ("ERROR", b"ENOSYS\0")
    dom0.send(encode_frame(Op.READ, 0, 0, b"")[:12] + b"\xff" * 4)
    assert told(engine) == []


def test_objects_are_traced_when_they_come_and_go(engine: Engine) -> None:
    """A connection takes what it has along; whether a commit worked is in its reply."""
    trace(engine, "obj")
    dom0 = Client(engine)
    dom0.ask(Op.WATCH, b"/a\0t\0")
    dom0.ask(Op.UNWATCH, b"/a\0t\0")
    for payload in (b"F\0", b"T\0"):
        dom0.ask(Op.TRANSACTION_END, payload, dom0.start())
    dom0.ask(Op.WATCH, b"/b\0u\0")
    dom0.start()
    engine.disconnect(dom0.connection)

    a, b = of(dom0, path=b"/a", token=b"t"), of(dom0, path=b"/b", token=b"u")
    ended = "obj.transaction_ended"
    assert told(engine) == [
        ("obj.connected", of(dom0)),
        ("obj.watch_added", a),
        ("obj.watch_removed", a),
        ("obj.transaction_started", of(dom0, transaction=1)),
        (ended, of(dom0, transaction=1, commit=False)),
        ("obj.transaction_started", of(dom0, transaction=2)),
        (ended, of(dom0, transaction=2, commit=True)),
        ("obj.watch_added", b),
        ("obj.transaction_started", of(dom0, transaction=3)),
        ("obj.watch_removed", b),
        (ended, of(dom0, transaction=3, commit=False)),
        ("obj.disconnected", of(dom0)),
    ]


def test_domains_are_traced(engine: Engine, dom0: Client) -> None:
    """Whether an operator or the hypervisor says that they end; without a channel."""
    trace(engine, "obj")
    for domid in (b"5", b"6"):
        dom0.ok(Op.INTRODUCE, domid + b"\0001\0001\0")
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


def test_what_domains_use_is_traced_when_it_changes(engine: Engine) -> None:
    """By requests, by the end of connections and by the end of domains."""
    dom0, guest = Client(engine), guest_of(engine, 5)
    trace(engine, "acc", "tdb")
    dom0.ok(Op.WRITE, b"/local/domain/5\0")
    give(dom0, b"/local/domain/5", b"n5\0", b"same")
    guest.ask(Op.WATCH, b"x\0t\0")
    guest.start()
    engine.disconnect(guest.connection)
    engine.domains_changed([5], [])

    names = ("domid", "what", "before", "now")
    assert [
        tuple(fields[name] for name in names)
        for event, fields in told(engine)
        if event == "acc.changed" and list(fields) == list(names)
    ] == [
        (0, "nodes", 5, 8),
        (0, "nodes", 8, 7),
        (5, "nodes", 0, 1),
        (5, "watches", 0, 1),
        (5, "transactions", 0, 1),
        (5, "watches", 1, 0),
        (5, "transactions", 1, 0),
        (5, "nodes", 1, 0),
    ]


def test_each_refusal_for_a_quota_is_traced(engine: Engine) -> None:
    """The log itself has the first one of a domain only."""
    guest = guest_of(engine, 5)
    engine.set_limit(5, TRANSACTIONS, 1)
    trace(engine, "acc")
    for _ in range(3):
        guest.ask(Op.TRANSACTION_START, b"\0")
    notices = engine.take_notices()

    assert [n.event for n in notices if n.event != "acc.changed"] == [
        "acc.refused",
        "quota.exceeded",
        "acc.refused",
    ]
    quota = {"owner": 5, "quota": "transactions", "limit": 1, "path": b""}
    assert notices[1].fields == of(guest, **quota)


def test_changes_of_the_store_are_traced_with_what_caused_them(engine: Engine) -> None:
    """Whoever made them; a removed tree is one change, as is a whole path."""
    dom0, guest = Client(engine), guest_of(engine, 5)
    trace(engine, "tdb")
    dom0.ok(Op.WRITE, b"/a/b\0value")
    tx = dom0.start()
    for op, payload in (
        (Op.WRITE, b"/a/b\0w"),
        (Op.RM, b"/a/b\0"),
        (Op.MKDIR, b"/c\0"),
    ):
        dom0.ok(op, payload, tx)
    dom0.ok(Op.TRANSACTION_END, b"T\0", tx)
    dom0.ok(Op.SET_PERMS, b"/c\0n5\0r0\0")
    guest.ok(Op.WRITE, b"/c/d\0")
    dom0.ok(Op.WRITE, b"/\0root")
    dom0.ok(Op.RM, b"/c\0")

    def changed(path: bytes, length: int, perms: bytes, cause: Fields) -> Told:
        node = {"path": path, "length": length, "permissions": perms}
        return ("tdb.changed", {**node, **cause})

    n0, c = b"n0\0", b"n5\0r0\0"
    write, commit = of(dom0, request="WRITE"), of(dom0, request="TRANSACTION_END")
    commit["transaction"] = tx
    assert told(engine) == [
        changed(b"/a/b", 5, n0, write),
        ("tdb.removed", {"path": b"/a/b", **commit}),
        changed(b"/c", 0, n0, commit),
        changed(b"/c", 0, c, of(dom0, request="SET_PERMS")),
        changed(b"/c/d", 0, c, of(guest, request="WRITE")),
        changed(b"/", 4, n0, write),
        ("tdb.removed", {"path": b"/c", **of(dom0, request="RM")}),
    ]


def test_what_the_end_of_a_domain_changes_has_no_request(
    engine: Engine, dom0: Client
) -> None:
    """The hypervisor tells of it; special nodes are not traced."""
    guest_of(engine, 5)
    give(dom0, b"/own", b"n5\0")
    trace(engine, "tdb")
    dom0.ok(Op.SET_PERMS, b"@releaseDomain\0n0\0")
    engine.domains_changed([5], [])

    assert told(engine) == [("tdb.removed", {"path": b"/own"})]


def test_the_trace_is_told_of_changes_as_long_as_it_is_needed(engine: Engine) -> None:
    """Once, and it is no watch of anybody's."""
    store = engine.store
    for switches, on, listening in (
        (["tdb"], True, True),
        (["tdb", "io"], True, True),
        (["io"], True, False),
        (["tdb"], True, True),
        (["tdb"], False, False),
    ):
        engine.trace(switches, on=on)
        assert store.listening is listening
        assert len(engine.core.consumers) == listening
        assert (store.watches.count, store.usage.watches.of(0)) == (0, 0)


@pytest.mark.parametrize("ends", ["request", "time", "client"])
def test_the_protection_of_a_transaction_is_traced(engine: Engine, ends: str) -> None:
    """Whose it is, who waits for it, that it is over for whatever reason; each once."""
    reader, writer = Client(engine), Client(engine)
    trace(engine, "wrl")
    for _ in range(PROTECT_AFTER):
        tx = reader.start()
        reader.ask(Op.READ, b"/a\0", tx)
        writer.ok(Op.WRITE, b"/a\0other")
        reader.ask(Op.TRANSACTION_END, b"T\0", tx)
    tx = reader.start()
    writer.post(Op.WRITE, b"/a\0late")
    run(engine)
    if ends == "request":
        reader.ok(Op.TRANSACTION_END, b"F\0", tx)
    elif ends == "time":
        run(engine, PROTECT_MS)
    else:
        engine.disconnect(reader.connection)

    late: Fields = {"request": "WRITE", "path": b"/a"}
    assert told(engine) == [
        ("wrl.protected", of(reader, conflicts=PROTECT_AFTER)),
        ("wrl.waits", of(writer, waits_for=reader.connection.id, **late)),
        ("wrl.over", of(reader)),
    ]


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
