"""xsd.engine.inputs: what is handed to the tape, what is not, and when."""

from collections.abc import Callable
from typing import final

import pytest

from tests.engine.script import Verb, lines_of, play, request
from tests.engine.support import OK, Client, event, guest_of, told
from xsd.engine import Connection, Engine
from xsd.engine.core import Core
from xsd.engine.delivery import deliver
from xsd.engine.dispatch import _TABLE
from xsd.engine.inputs import KINDS, REQUEST, WENT, Input, MemoryTape, Tape
from xsd.protocol.errors import Errno
from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.store import Transaction


@final
class Taped:
    """What the tape was handed since it was looked at last."""

    def __init__(self, tape: MemoryTape) -> None:
        self._tape = tape
        self._seen = 0

    def inputs(self) -> list[Input]:
        """All of it."""
        found = self._tape.inputs[self._seen :]
        self._seen += len(found)
        return found

    def ignore(self) -> None:
        """Go on from here."""
        self.inputs()

    def shown(self) -> str:
        """The kinds, of requests with their type."""
        return " ".join(
            KINDS[each.kind] + (f":{Op(each.frame.op).name}" if each.frame else "")
            for each in self.inputs()
        )

    def ops(self) -> list[int]:
        """Of requests: which they are."""
        return [each.frame.op for each in self.inputs() if each.frame is not None]


@pytest.fixture
def taped(engine: Engine) -> Taped:
    """The tape of the engine."""
    assert isinstance(engine.tape, MemoryTape)
    return Taped(engine.tape)


def test_an_input_shows_what_it_is() -> None:
    """For whoever has to find out where two engines went different ways."""
    (frame,) = FrameDecoder().feed(encode_frame(Op.READ, 3, 0, b"/a\0"))
    request = Input(REQUEST, 7, 2, 5, frame, answers=(1,))

    assert request.frame == frame
    assert repr(request) == (
        "Input(request #2 dom5 Frame(2, 3, 0, b'/a\\x00') answers (1,) -> 7)"
    )
    assert repr(Input(WENT, 7, 2)) == "Input(went #2 dom0 -> 7)"
    limit = Input(6, 7, domid=5, name="nodes", numbers=(4,))
    assert repr(limit) == "Input(limit #0 dom5 nodes (4,) -> 7)"


X3000 = "x" * 3000
RULES = {
    # Beside requests: clients, channels, domains and settings.
    "whatever changes the state is an input": """
        taped -> came; come 5; taped -> came; anew; taped -> restarted
        found 5; found 5; taped -> found; limit -1 nodes 5; taped -> limit
        orphans; taped -> orphans; gone; taped -> -; stop 5; taped -> domains
        gone 5; taped -> domains; go; go; anew; taped -> went""",
    # Time, what is traced or read, how long events wait, ends of streams.
    "what only the shell does is none": """
        1 watch @releaseDomain t -> OK @releaseDomain:t; introduce 8 1 1
        introduce 9 1 1; release 9; ignore; 1 hear -> @releaseDomain:t; taped -> -
        release 8; ignore; trace; expire; turn 9000; 1 hear -> -
        end_input; turn; taped -> -""",
    # The most that was ever asked for is kept, too: of a path, and of permissions.
    "what a guest is refused is on the tape if it is a maximum": f"""
        homes 1; 1 write a v; node /secret n0; 1 read /secret -> EACCES; ignore
        1 write /secret v -> EACCES; 1 read a -> v; 1 write /secret v -> EACCES
        taped -> -; 1 read /{X3000} -> EINVAL; 1 read /{X3000} -> EINVAL
        taped -> request:READ; longest -> 3001""",
    # Also of one that fails, or is given up.
    "each step of a transaction is on the tape": """
        ignore; start -> 1,; t1 read /a -> ENOENT; t1 write /b v; t1 rm /b; t1 end T
        taped -> request:TRANSACTION_START request:READ request:WRITE request:RM \
request:TRANSACTION_END
        start -> 2,; t2 read /a -> ENOENT; t2 end F
        taped -> request:TRANSACTION_START request:READ request:TRANSACTION_END
        start -> 3,; t3 read /a -> ENOENT; t3 write /b v; t3 write /b v; a write /a v
        t3 end T -> EAGAIN
        taped -> request:TRANSACTION_START request:READ request:WRITE request:WRITE \
request:WRITE request:TRANSACTION_END
    """,
}


def trace(engine: Engine, _client: Client, _words: list[str]) -> None:
    """Have something traced, and nothing."""
    engine.trace(["io"], on=True)
    engine.trace([], on=False)


def end_input(engine: Engine, client: Client, _words: list[str]) -> None:
    """A stream ends in the middle of a request."""
    engine.feed(client.connection, b"\0")
    engine.end_input(client.connection)


@pytest.mark.parametrize("rule", RULES)
def test_the_tape(engine: Engine, taped: Taped, rule: str) -> None:
    """Each rule as the script that shows it."""
    came: list[Connection] = []

    def come(engine: Engine, _client: Client, words: list[str]) -> None:
        came.append(engine.connect(int(words[0])))

    verbs: dict[str, Verb] = {
        "taped": lambda *_: taped.shown(),
        "ignore": lambda *_: taped.ignore(),
        "come": come,
        "go": lambda *_: engine.disconnect(came[-1]),
        "anew": lambda *_: engine.restart(came[-1]),
        "trace": trace,
        "expire": lambda *_: engine.expire_events_after(5),
        "end_input": end_input,
        "longest": lambda *_: str(engine.store.usage.path_max.most[1]),
    }
    play(engine, RULES[rule], verbs)


CHANGES = lines_of("""
    write /a v; mkdir /b; perms /a n0; perms @releaseDomain n0; rm /tool; watch /a u
    unwatch / t; reset ''; start ''; introduce 5 1 1; introduce 6 1 1; release 5
    set_target 5 5; set_quota nodes 9; set_quota 5 nodes 9; control quota set nodes 9
    control quota-soft set memory 9
""")
INSIDE = lines_of("read /a; directory /; directory_part / 0; get_perms /tool; read /no")
"""What a transaction relies on afterwards."""
LEAVES_ALONE = lines_of("""
    read /bad␣path; write /bad␣path v; read ~/a; mkdir /a; rm /a/no; rm /; perms /a n77
    watch / t; unwatch /no t; end T; introduce 32752 1 1; release 77; set_target 77 1
    set_feature 77 0; set_quota no 1; set_quota 77 nodes 1; get_domain_path 5
    is_domain_introduced 5; get_feature; get_quota; get_quota 5 nodes; control help
    control check; control print x; control quota; control quota max; control quota 5
    control quota set no 1; control log; control log +tdb
""")


def prepared(engine: Engine, taped: Taped) -> Client:
    """A client of dom0 that has done what the requests above need."""
    dom0 = Client(engine)
    guest_of(engine, 5)
    dom0.ok(Op.WRITE, b"/a\0v")
    dom0.ask(Op.WATCH, b"/\0t\0")
    taped.inputs()
    return dom0


@pytest.mark.parametrize("text", CHANGES)
def test_a_request_that_changes_something_is_taped(
    engine: Engine, taped: Taped, text: str
) -> None:
    """With who sent it, and the generation that it led to."""
    dom0 = prepared(engine, taped)
    op, payload = request(text)
    assert dom0.ask(op, payload)[-1][0] != Op.ERROR

    (entry,) = taped.inputs()
    assert (entry.kind, entry.connection, entry.domid) == (REQUEST, 1, 0)
    assert entry.frame is not None
    assert (entry.frame.op, entry.frame.payload) == (op, payload)
    assert entry.generation == engine.store.generation


def test_a_request_has_its_ordinal_among_all_of_its_connection(
    engine: Engine, taped: Taped
) -> None:
    """Those that change nothing are counted, and those that are refused."""
    dom0, other = Client(engine), Client(engine)
    taped.ignore()
    for _ in range(3):
        dom0.ask(Op.READ, b"/none\0")
    other.ok(Op.WRITE, b"/b\0v")
    dom0.ok(Op.WRITE, b"/a\0v")
    dom0.ask(99, b"")
    dom0.ok(Op.WRITE, b"/a\0w")

    ordinals = [(each.connection, each.ordinal) for each in taped.inputs()]
    assert ordinals == [(2, 1), (1, 4), (1, 6)]
    assert engine.connections[0].served == 6


@pytest.mark.parametrize("text", [*INSIDE, *LEAVES_ALONE])
def test_a_request_that_changes_nothing_is_not_taped(
    engine: Engine, taped: Taped, text: str
) -> None:
    """It asks only, or it is refused; nor is one of no type."""
    dom0 = prepared(engine, taped)
    for op, payload in (request(text), (99, b"")):
        dom0.ask(op, payload)

    assert taped.inputs() == []


@pytest.mark.parametrize("text", INSIDE)
def test_what_a_transaction_relies_on_is_on_the_tape_once(
    engine: Engine, taped: Taped, text: str
) -> None:
    """To ask for the same once more changes nothing."""
    dom0 = prepared(engine, taped)
    op, payload = request(text)
    tx = dom0.start()
    for _ in range(3):
        dom0.ask(op, payload, tx)

    assert taped.ops() == [Op.TRANSACTION_START, op]


@final
class Watching(Tape):
    """Looks at what could have left when it is handed an input.

    Attributes:
        steps: What happened in order.
    """

    def __init__(self, look: Callable[[], int]) -> None:
        self._look = look
        self.steps: list[tuple[str, int]] = []

    def take(self, entry: Input) -> None:
        self.steps.append((KINDS[entry.kind], self._look()))

    def end_turn(self) -> None:
        self.steps.append(("end of turn", self._look()))


def test_the_tape_has_an_input_before_its_reply_can_be_taken(engine: Engine) -> None:
    """And is told that a turn has ended before links are."""
    dom0 = Client(engine)
    engine.take_dirty()
    tape = Watching(lambda: dom0.connection.outbox.size)
    engine.tape = tape
    reply = 16 + len(OK)
    frames = dom0.frame(Op.WRITE, b"/a\0v") + dom0.frame(Op.RM, b"/a\0")
    engine.feed(dom0.connection, frames)
    engine.turn(0)

    assert tape.steps == [
        ("request", 0),
        ("request", reply),
        ("end of turn", 2 * reply),
    ]
    assert engine.take_dirty() == [dom0.connection]
    engine.tape = None


@pytest.mark.pure_only
def test_the_tape_is_told_of_the_end_of_a_turn_that_fails(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replies of the requests before that leave all the same."""
    dom0 = Client(engine)
    tape = Watching(lambda: dom0.connection.outbox.size)
    engine.tape = tape

    def broken(_engine: Engine) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Engine, "_serve_guests", broken)
    engine.feed(dom0.connection, dom0.frame(Op.WRITE, b"/a\0v"))
    guest = Client(engine, 5)
    engine.feed(guest.connection, guest.frame(Op.WRITE, b"a\0v"))
    engine.turn(0)
    with pytest.raises(ZeroDivisionError):
        engine.turn(0)

    assert [name for name, _ in tape.steps][-2:] == ["end of turn", "end of turn"]
    engine.tape = None


@pytest.mark.pure_only
@pytest.mark.parametrize("changes", [True, False])
def test_a_defect_is_eio_and_on_the_tape_if_it_changed_something(
    engine: Engine, taped: Taped, monkeypatch: pytest.MonkeyPatch, *, changes: bool
) -> None:
    """What it did before stands, and its events are told."""
    dom0, watcher = Client(engine), Client(engine)
    watcher.ask(Op.WATCH, b"/a\0t\0")
    taped.inputs()

    def broken(
        core: Core, connection: Connection, _payload: bytes, _tx: Transaction | None
    ) -> bytes:
        if changes:
            path = core.path(connection, b"/a")
            events = core.store.write(connection.caller, path, b"v", None)
            deliver(core, events, connection)
        raise ZeroDivisionError

    monkeypatch.setattr(_TABLE[Op.MKDIR], "handler", broken)
    assert dom0.errno(Op.MKDIR, b"/b\0") is Errno.EIO
    assert told(engine) == ["request.failed"]
    assert taped.ops() == ([Op.MKDIR] if changes else [])
    assert watcher.take() == ([event(b"/a", b"t")] if changes else [])
    if changes:
        # The replay of this test has the same defect no longer.
        engine.tape = None


@pytest.mark.pure_only
def test_events_that_cannot_be_derived_fail_no_request(
    engine: Engine, taped: Taped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has happened, is on the tape, and the log has the defect."""
    dom0 = Client(engine)
    dom0.ask(Op.WATCH, b"/a\0t\0")
    tx = dom0.start()
    dom0.ok(Op.WRITE, b"/a\0commit", tx)
    taped.inputs()

    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("xsd.store.store.events_for", fails)
        assert dom0.reply(Op.WRITE, b"/c\0v") == (Op.WRITE, OK)
        end = dom0.reply(Op.TRANSACTION_END, b"T\0", tx)
    assert end == (Op.TRANSACTION_END, OK)

    assert told(engine) == ["events.failed"] * 2
    assert taped.ops() == [Op.WRITE, Op.TRANSACTION_END]
    assert dom0.reply(Op.READ, b"/a\0") == (Op.READ, b"commit")
    assert dom0.ask(Op.WRITE, b"/a\0v") == [event(b"/a", b"t"), (Op.WRITE, OK)]
