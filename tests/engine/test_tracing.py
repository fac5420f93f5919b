"""xsd.engine.tracing: what is told of what happens, and only if somebody asked."""

import pytest

from tests.engine.script import Verb, play
from tests.engine.support import Client, guest_of
from xsd.engine import Engine
from xsd.engine.progress import PROTECT_AFTER
from xsd.engine.protection import PROTECT_MS
from xsd.engine.tracing import (
    DEFAULT_SWITCHES,
    PATH_SHOWN,
    PAYLOAD_SHOWN,
    SWITCHES,
    request_fields,
)
from xsd.protocol.frame import REPEATED, encode_frame, frame_of
from xsd.protocol.ops import Op
from xsd.store import Store

Told = tuple[str, dict[str, object]]


def told(engine: Engine) -> list[Told]:
    """What was traced since the last call."""
    traced = [notice for notice in engine.take_notices() if notice.wanted]
    assert {notice.level for notice in traced} <= {"debug"}
    return [(notice.event, notice.fields) for notice in traced]


def line(told: Told, client: Client) -> str:
    """What was traced, without connection and domain if they are the client's."""
    connection = client.connection
    event, fields = told
    shown = {key: str(value) for key, value in fields.items()}
    whose = {"connection": str(connection.id), "domid": str(connection.caller.domid)}
    if whose.items() <= shown.items():
        shown = {key: shown[key] for key in shown if key not in whose}
    for key, value in fields.items():
        if isinstance(value, bytes):
            shown[key] = value.decode("latin-1").replace("\0", ",")
    return " ".join([event, *[f"{key}={value}" for key, value in shown.items()]])


# `told` is the next thing that was traced: of whom it is, it is of that client's.
RULES = {
    # One that is not sent, since it equals one that still waits, is not traced.
    "requests, replies and events are traced in their order": """
        5 watch x t -> OK x:t; node /local/domain/5 n5; trace io
        5 send write x; 5 send write x; 5 hear -> x:t write=OK write=OK
        5 told -> io.request message=WRITE request_id=2 transaction=0 length=2 \
payload=x,
        5 told -> io.event message=WATCH_EVENT request_id=0 transaction=0 length=4 \
payload=x,t,
        5 told -> io.reply message=WRITE request_id=2 transaction=0 length=3 payload=OK,
        5 told -> io.request message=WRITE request_id=3 transaction=0 length=2 \
payload=x,
        5 told -> io.reply message=WRITE request_id=3 transaction=0 length=3 payload=OK,
        told -> -""",
    # A connection takes what it has along; whether a commit worked is in its reply.
    "objects are traced when they come and go": """
        trace obj; come; told -> obj.connected connection=3 domid=0
        a watch /a t -> OK /a:t; a told -> obj.watch_added path=/a token=t
        a unwatch /a t; a told -> obj.watch_removed path=/a token=t
        a start -> 1,; a told -> obj.transaction_started transaction=1
        a t1 end F; a told -> obj.transaction_ended transaction=1 commit=False
        a start -> 2,; a told -> obj.transaction_started transaction=2
        a t2 end T; a told -> obj.transaction_ended transaction=2 commit=True
        a watch /b u -> OK /b:u; a told -> obj.watch_added path=/b token=u
        a start -> 3,; a told -> obj.transaction_started transaction=3
        a leave; a told -> obj.watch_removed path=/b token=u
        a told -> obj.transaction_ended transaction=3 commit=False
        a told -> obj.disconnected; told -> -""",
    # Whether an operator or the hypervisor says that they end; without a channel.
    "domains are traced": """
        trace obj; introduce 5 1 1; told -> obj.domain_introduced domid=5
        introduce 6 1 1; told -> obj.domain_introduced domid=6
        release 5; told -> obj.domain_ended domid=5
        stop 6; told -> obj.domain_stopped domid=6
        gone 6; told -> obj.domain_ended domid=6; told -> -""",
    # By requests, by the end of connections and by the end of domains.
    "what domains use is traced when it changes": """
        5 hear; trace acc tdb; write /local/domain/5; accounts -> 0:nodes:5:8
        perms /local/domain/5 n5; accounts -> 0:nodes:8:7 5:nodes:0:1
        write /local/domain/5 same; write /local/domain/5 same; accounts -> -
        5 watch x t -> OK x:t; accounts -> 5:watches:0:1
        5 start -> 1,; accounts -> 5:transactions:0:1
        5 leave; accounts -> 5:watches:1:0 5:transactions:1:0
        gone 5; accounts -> 5:nodes:1:0""",
    # The log itself has the first one of a domain only.
    "each refusal for a quota is traced": """
        limit 5 transactions 1; 5 start -> 1,; trace acc
        5 start -> ENOSPC; 5 start -> ENOSPC
        5 told -> acc.refused owner=5 quota=transactions limit=1 path=
        5 told -> acc.refused owner=5 quota=transactions limit=1 path=; 5 told -> -""",
    # Whoever made them; a removed tree is one change, as is a whole path.
    "changes of the store are traced with what caused them": """
        5 hear; trace tdb; write /a/b value
        told -> tdb.changed path=/a/b length=5 permissions=n0, request=WRITE
        start -> 1,; t1 write /a/b w; t1 rm /a/b; t1 mkdir /c; told -> -; t1 end T
        told -> tdb.removed path=/a/b request=TRANSACTION_END transaction=1
        told -> tdb.changed path=/c length=0 permissions=n0, request=TRANSACTION_END \
transaction=1
        perms /c n5 r0
        told -> tdb.changed path=/c length=0 permissions=n5,r0, request=SET_PERMS
        5 write /c/d
        5 told -> tdb.changed path=/c/d length=0 permissions=n5,r0, request=WRITE
        write / root; told -> tdb.changed path=/ length=4 permissions=n0, request=WRITE
        rm /c; told -> tdb.removed path=/c request=RM; told -> -""",
    # The hypervisor tells of it; special nodes are not traced.
    "what the end of a domain changes has no request": """
        5 hear; node /own n5; trace tdb; perms @releaseDomain n0; gone 5
        told -> tdb.removed path=/own; told -> -""",
    # Whose it is, who waits for it, that it is over for whatever reason; each once.
    **{
        f"the protection of a transaction is traced, until {why}": "\n".join(
            [
                "write /a other; trace wrl",
                *[
                    f"""
                    a start -> {number},; a t{number} read /a -> other
                    write /a other; a t{number} end T -> EAGAIN
                    """
                    for number in range(1, PROTECT_AFTER + 1)
                ],
                f"a start -> {PROTECT_AFTER + 1},; post write /a late; {end}",
                f"a told -> wrl.protected conflicts={PROTECT_AFTER}",
                "told -> wrl.waits request=WRITE path=/a waits_for=2",
                "a told -> wrl.over; told -> -",
            ]
        )
        for why, end in (
            ("it ends", f"a t{PROTECT_AFTER + 1} end F"),
            ("the time is over", f"turn {PROTECT_MS}"),
            ("its client leaves", "a leave"),
        )
    },
    "who waits for its turn is traced": """
        write /a other; trace wrl; a start -> 1,; a t1 read /a -> other
        a t1 write /a mine; write /a other; a t1 end T -> EAGAIN
        a start -> 2,; a t2 read /a -> other; b start -> 1,; b t1 post read /a
        b told -> wrl.waits request=READ path=/a waits_for=2; b told -> -
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_traces(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    waiting: list[Told] = []

    def come(engine: Engine, _client: Client, _words: list[str]) -> None:
        engine.connect(0)

    def trace(engine: Engine, _client: Client, words: list[str]) -> None:
        engine.take_notices()
        engine.trace(words, on=True)

    def next_of(engine: Engine, client: Client, _words: list[str]) -> str:
        waiting.extend(told(engine))
        return line(waiting.pop(0), client) if waiting else ""

    def accounts(engine: Engine, _client: Client, _words: list[str]) -> str:
        found = [fields for event, fields in told(engine) if event == "acc.changed"]
        names = ("domid", "what", "before", "now")
        return " ".join(":".join(str(each[name]) for name in names) for each in found)

    verbs: dict[str, Verb] = {
        "come": come,
        "trace": trace,
        "told": next_of,
        "accounts": accounts,
    }
    play(engine, RULES[rule], verbs)


def test_nothing_is_traced_unless_it_is_switched_on(engine: Engine) -> None:
    """Not even with all switches set; two are, unless it is said otherwise (as C's)."""
    assert {"obj", "io"} == DEFAULT_SWITCHES
    engine.trace(SWITCHES, on=False)
    client = guest_of(engine)
    client.ask(Op.WATCH, b"/a\0t\0")
    client.ask(Op.WRITE, b"/local/domain/1/x\0v")
    engine.disconnect(client.connection)

    assert told(engine) == []


def test_a_refused_request_is_traced_too(engine: Engine, dom0: Client) -> None:
    """And so is a message that is none; a long payload is cut, its length is told.

    What goes on in a broken stream is not: there is no message in it.
    """
    engine.trace(["io"], on=True)
    dom0.ask(99, b"x" * 4096, 7)

    (request, asked), (reply, refused) = told(engine)
    assert (request, reply) == ("io.request", "io.reply")
    assert (asked["message"], asked["length"]) == ("99", 4096)
    assert asked["transaction"] == refused["transaction"] == 7
    assert asked["payload"] == b"x" * PAYLOAD_SHOWN
    assert (refused["message"], refused["payload"]) == ("ERROR", b"ENOSYS\0")
    dom0.send(encode_frame(Op.READ, 0, 0, b"")[:12] + b"\xff" * 4)
    assert told(engine) == []


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


def test_a_trace_of_a_store_with_another_privileged_domain_works() -> None:
    """Its clients are the cause."""
    engine = Engine(Store(3))
    engine.trace(["tdb"], on=True)
    Client(engine).ok(Op.WRITE, b"/a\0")

    ((name, fields),) = told(engine)
    assert (name, fields["domid"]) == ("tdb.changed", 3)


def test_lines_about_a_request_have_its_path_if_it_names_one(dom0: Client) -> None:
    """As it was sent, up to its first bytes."""
    long = b"/" + b"\xff" * PATH_SHOWN
    for op, payload, path in (
        (Op.WRITE, b"a/b\0secret", b"a/b"),
        (Op.UNWATCH, b"@x\0t\0", b"@x"),
        (Op.READ, long + b"\0", long[:-1]),
        (Op.TRANSACTION_END, b"T\0", None),
        (Op.CONTROL, b"check\0", None),
    ):
        frame = frame_of(encode_frame(op, 7, 9, b"")[:REPEATED], payload)
        fields = request_fields(dom0.connection, frame, with_path=True)
        assert fields.pop("path", None) == path
        assert fields == {
            "connection": dom0.connection.id,
            "domid": 0,
            "request": op.name,
            "request_id": 7,
            "transaction": 9,
        }
