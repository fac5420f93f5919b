"""A daemon is ended between any two of its stores, and a guest on a ring goes on."""

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final, final

import pytest

from tests.crash.rings import HOME, Daemon, Guest, Moment, Tracer, new_page
from xsd.daemon import durability
from xsd.persistence.journal import Journal
from xsd.persistence.ledger import REQUESTS_BYTES
from xsd.persistence.segment import SIZE_MIN
from xsd.protocol.frame import Frame, encode_frame
from xsd.protocol.ops import Op

LONG: Final = b"v" * 1500
"""More than a ring holds."""

FURTHER: Final = 19
"""After every such end there is another one, at every such moment."""

Step = tuple[str, bytes, int]

PLACES: Final = (b"a", b"b", b"c")
"""Where dom0 writes; the guest watches."""


def requests() -> bytes:
    """Requests of every kind, of which none can be carried out twice unnoticed."""
    asked: list[tuple[int, bytes, int]] = [
        (Op.WATCH, b"data\0token\0", 0),
        (Op.WRITE, b"own\0one", 0),
        (Op.READ, b"own\0", 0),
        (Op.RM, b"own\0", 0),
        (Op.READ, b"own\0", 0),
        (Op.RM, b"none/below\0", 0),
        (Op.WRITE, b"/dom0\0refused", 0),
        (Op.MKDIR, b"own\0", 0),
        (Op.TRANSACTION_START, b"\0", 0),
        (Op.READ, b"own\0", 1),
        (Op.WRITE, b"own\0" + LONG, 1),
        (Op.READ, b"own\0", 1),
        (Op.READ, b"own\0", 0),
        (Op.TRANSACTION_START, b"\0", 0),
        (Op.WRITE, b"left\0", 2),
        (Op.TRANSACTION_END, b"T\0", 1),
        (Op.TRANSACTION_END, b"T\0", 1),
        (Op.READ, b"own\0", 0),
        (Op.RM, b"own\0", 0),
        (99, b"", 0),
        (Op.RM, b"own\0", 0),
        (Op.GET_DOMAIN_PATH, b"5\0", 0),
        (Op.UNWATCH, b"none\0token\0", 0),
        (Op.WATCH, b"data\0token\0", 0),
    ]
    return b"".join(
        encode_frame(op, number, tx, payload)
        for number, (op, payload, tx) in enumerate(asked, 1)
    )


def dom0_writes(place: bytes) -> Step:
    """Dom0 writes where the guest watches."""
    return ("dom0", HOME + b"data/" + place + b"\0new", Op.WRITE)


def send(data: bytes) -> Step:
    """The guest writes; if there is no room, it reads."""
    return ("send", data, 0)


def read(limit: int = 1024) -> Step:
    """The guest reads, up to so many bytes."""
    return ("read", b"", limit)


RECONNECT: Final[Step] = ("reconnect", b"", 0)
INTRODUCE: Final[Step] = ("introduce", b"5\0001\0001\0", Op.INTRODUCE)
CHECKPOINT: Final[Step] = ("checkpoint", b"", 0)


UNREAD: Final = b"".join(
    encode_frame(Op.GET_DOMAIN_PATH, number, 0, b"5\0") for number in range(2, 50)
)
"""More is answered than there is room for, and nothing is changed."""


def _in_pieces() -> list[Step]:
    data = requests()
    steps = [send(data[at : at + 97]) for at in range(0, 700, 97)]
    return [*steps, send(data[len(steps) * 97 :])]


SCRIPTS: Final[dict[str, list[Step]]] = {
    "pipelined": [dom0_writes(b"a"), send(requests()), dom0_writes(b"b")],
    "in pieces": [*_in_pieces(), dom0_writes(b"a"), dom0_writes(b"c")],
    "does not read": [
        send(requests()[:900]),
        dom0_writes(b"a"),
        read(7),
        CHECKPOINT,
        dom0_writes(b"b"),
        read(100),
        send(requests()[900:]),
        CHECKPOINT,
        read(30),
        dom0_writes(b"c"),
    ],
    "reconnects": [send(UNREAD[:850]), RECONNECT, send(requests()), dom0_writes(b"c")],
    "is allowed later what it was refused": [
        ("dom0", b"/shared\0", Op.MKDIR),
        # The first path of a length changes something, whatever is refused.
        send(encode_frame(Op.WRITE, 1, 0, b"longer-than-the-other\0")),
        send(UNREAD + encode_frame(Op.WRITE, 25, 0, b"/shared\0v")),
        ("dom0", b"/shared\0n0\0b5\0", Op.SET_PERMS),
        send(encode_frame(Op.WRITE, 26, 0, b"late\0v")),
        dom0_writes(b"c"),
    ],
    "is introduced anew": [
        send(UNREAD[:850]),
        CHECKPOINT,
        INTRODUCE,
        send(requests()),
        dom0_writes(b"c"),
    ],
}


@final
class Run:
    """A guest and a daemon that follow a script.

    Attributes:
        step: The present one.
        sent: Bytes of it that were sent.
    """

    def __init__(self, directory: Path, page: bytearray, script: list[Step]) -> None:
        self.page = page
        self.directory = directory
        self.script = script
        self.guest = Guest(page)
        self.daemon = Daemon(directory, page)
        self.step = 0
        self.sent = 0
        self.tracer: Tracer | None = None

    def close(self) -> None:
        """End it."""
        self.daemon.close()
        self.guest.close()

    def note(self, moment: Moment) -> None:
        """Add where it is."""
        moment.step, moment.sent = self.step, self.sent
        moment.taken = list(self.guest.taken)

    def introduce(self) -> None:
        """Have dom0 make the guest known."""
        daemon = self.daemon
        daemon.ask(Op.INTRODUCE, b"5\0001\0001\0")
        daemon.ask(Op.MKDIR, HOME[:-1] + b"\0")
        daemon.ask(Op.SET_PERMS, HOME[:-1] + b"\0n5\0")
        daemon.serve()

    def trace(self) -> None:
        """Note what outlives the daemon, whenever that changes it."""
        self.tracer = Tracer(self.directory, self.page, self.note)

    def _do(self, what: Callable[[], object]) -> None:
        """Have the daemon do something."""
        if self.tracer is None:
            what()
        else:
            with self.tracer.tracing(self.daemon):
                what()

    def _serve(self) -> None:
        self._do(self.daemon.serve)

    def go_on(self) -> None:
        """Follow the script from here to its end."""
        self._serve()
        while self.step < len(self.script):
            what, data, number = self.script[self.step]
            if what == "send":
                self._send(data)
            elif what == "read":
                self.guest.read(self.step, number)
            elif what == "reconnect":
                self._reconnect()
            elif what in {"dom0", "introduce"}:
                self._do(partial(self.daemon.ask, number, data))
            else:
                self._do(self.daemon.durability.checkpoint)
            self._serve()
            if what in {"reconnect", "introduce"}:
                self.guest.taken.clear()
            self.step += 1
            self.sent = 0
        while self.guest.read(self.step):
            self._serve()

    def _send(self, data: bytes) -> None:
        while self.sent < len(data):
            count = self.guest.write(data[self.sent :])
            self.sent += count
            self._serve()
            if not count:
                self.guest.read(self.step)
                self._serve()

    def _reconnect(self) -> None:
        if not self.sent:
            self.sent = 1
            self.guest.ask_to_reconnect()
            self._serve()
        assert self.guest.is_connected

    def replies(self) -> list[Frame]:
        """What the guest was answered."""
        messages = self.guest.messages()
        return [frame for _step, frame in messages if frame.op != Op.WATCH_EVENT]

    def missed(self) -> list[bytes]:
        """The places that the guest was not told of after they were written."""
        told = [
            (step, frame.payload.split(b"\0")[0])
            for step, frame in self.guest.messages()
            if frame.op == Op.WATCH_EVENT
        ]
        watched = next(
            (step for step, frame in self.guest.messages() if frame.op == Op.WATCH),
            len(self.script),
        )
        found: list[bytes] = []
        for number, (what, payload, _op) in enumerate(self.script):
            place = payload.split(b"\0")[0].removeprefix(HOME)
            if what == "dom0" and not any(
                step >= number and path in {place, b"data"} for step, path in told
            ):
                found.append(place)
        # What was there when it began to watch, it is told of by the first event.
        return found if watched < len(self.script) else []

    def result(self) -> tuple[list[Frame], list[bytes], dict[bytes, bytes], object]:
        """All that must be the same whatever happens to the daemon."""
        tree = self.daemon.tree()
        return self.replies(), self.missed(), tree, self.daemon.state()


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    short = partial(Journal, size=4 * SIZE_MIN)
    monkeypatch.setattr(durability, "Journal", short)


def again(moment: Moment, directory: Path, script: list[Step]) -> Run:
    """A daemon and a guest that begin with what is left of others."""
    moment.spread(directory)
    run = Run(directory, bytearray(moment.page), script)
    run.step, run.sent = moment.step, moment.sent
    run.guest.taken = list(moment.taken)
    return run


@pytest.mark.pure_only  # it looks on after each line
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_guest_notices_no_end_of_the_daemon(tmp_path: Path, name: str) -> None:
    """Each reply comes once, whole and in order; each change is made once."""
    script = SCRIPTS[name]
    with closing(Run(tmp_path / "first", new_page(), script)) as run:
        run.introduce()
        run.trace()
        run.go_on()
        expected = run.result()
        assert run.tracer is not None
        moments = run.tracer.moments
    assert len(expected[0]) >= 24
    assert expected[1] == []
    assert len(moments) > 60

    for number, moment in enumerate(moments):
        with closing(again(moment, tmp_path / str(number), script)) as other:
            if number % FURTHER == 0:
                other.trace()
            other.go_on()
            assert other.result() == expected, f"{number}: {moment.where}"
        further = [] if other.tracer is None else other.tracer.moments[::FURTHER]
        for second, after in enumerate(further):
            directory = tmp_path / f"{number}-{second}"
            with closing(again(after, directory, script)) as third:
                third.go_on()
                assert third.result() == expected, f"{number}: {after.where}"


@pytest.mark.pure_only  # its hypervisor is no subclass
def test_who_has_more_under_way_than_is_kept_waits_for_its_own_reading(
    tmp_path: Path,
) -> None:
    """Nothing is taken off its ring meanwhile, and all of it afterwards."""
    many = [(Op.WRITE, b"own\0" + LONG)] + [(Op.READ, b"own\0")] * 2
    many += [(Op.WRITE, b"own\0" + LONG)] * 9
    data = b"".join(
        encode_frame(op, number, 0, payload)
        for number, (op, payload) in enumerate(many, 1)
    )
    with closing(Run(tmp_path / "first", new_page(), [send(data)])) as run:
        run.introduce()
        sent = 0
        while count := run.guest.write(data[sent:]):
            sent += count
            run.daemon.serve()
        assert REQUESTS_BYTES < sent < len(data)
        run.sent = sent
        run.go_on()
        assert [frame.req_id for frame in run.replies()] == [*range(1, len(many) + 1)]
