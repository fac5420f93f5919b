"""A daemon with a guest that behaves well, which is watched while others are served."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Final, final

import pytest

from tests.store.support import shape
from tests.support.dialogue import Dialogue
from tests.support.replaying import assert_replays
from xsd.client import Transport
from xsd.engine import Connection, Notice
from xsd.engine.inputs import MemoryTape
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.store.check import verify
from xsd.testing import InProcess, Session
from xsd.testing.inprocess import Line
from xsd.testing.session import header

BYSTANDER: Final = 7
"""The domain that behaves well; hostile ones have other ids."""

EVERY_DOMAIN: Final = -1

LOOK_EVERY: Final = 8
"""After so many pieces that others have sent the bystander asks for something."""

OF_NODES: Final[dict[int, bytes]] = {
    Op.DIRECTORY: b"",
    Op.READ: b"",
    Op.GET_PERMS: b"",
    Op.WRITE: b"value",
    Op.MKDIR: b"",
    Op.RM: b"",
    Op.SET_PERMS: b"n0\0",
    Op.DIRECTORY_PART: b"0\0",
}
"""Message types that name a node, and what follows the name."""


def home(domid: int) -> bytes:
    """The home of a domain."""
    return b"/local/domain/%d" % domid


def message_of(length: int, op: int = Op.READ) -> bytes:
    """A header that announces so many bytes, and some of them."""
    return header(op, length) + b"x" * min(length, 64)


def refusal_of(request: Callable[..., object], *arguments: object) -> Errno:
    """Make a request that is refused, and tell the errno."""
    with pytest.raises(XenStoreError) as caught:
        request(*arguments)
    return caught.value.errno


def counts_of(store: Store) -> tuple[object, ...]:
    """What a store holds of everything that guests can make more of."""
    return (
        store.usage.nodes.used.copy(),
        store.usage.watches.used.copy(),
        store.usage.transactions.used.copy(),
        store.watches.count,
        store.watches.spots(),
        [domain.domid for domain in store.domains.all()],
    )


@final
class Bystander:
    """A guest that uses its home as guests do."""

    def __init__(self, guest: Session) -> None:
        self._guest = guest
        self._count = 0
        self._sent = 0
        self._is_home = True

    def is_served(self) -> bool:
        """Write and read; tells whether both are answered as they should be."""
        self._count += 1
        value = b"%d" % self._count
        self._guest.ok(Op.WRITE, b"data\0" + value)
        return self._guest.reply(Op.READ, b"data\0") == (Op.READ, value)

    def look(self) -> None:
        """Read at times, which has to be answered at once."""
        self._sent += 1
        if self._is_home and self._sent % LOOK_EVERY == 0:
            self._guest.post(Op.READ, b"data\0")
            assert self._guest.take() == [(Op.READ, b"%d" % self._count)]

    @contextmanager
    def away(self) -> Iterator[None]:
        """Ask for nothing meanwhile: something is done to this very domain."""
        self._is_home = False
        yield
        self._is_home = True


@final
class Watched(Transport):
    """Somebody else's way to the daemon: when it is used the bystander is looked at."""

    def __init__(self, line: Line, bystander: Bystander) -> None:
        self.line = line
        self._bystander = bystander

    def send(self, data: bytes, timeout: float | None) -> None:
        self.line.send(data, timeout)
        self._bystander.look()

    def receive(self, timeout: float | None) -> bytes:
        return self.line.receive(timeout)

    def close(self) -> None:
        self.line.close()


@final
class World:
    """A daemon in process, with guests of which one is the bystander.

    Attributes:
        xenstore: The daemon.
        store: What it serves.
        bystander: The guest that behaves well.
    """

    def __init__(self) -> None:
        self.xenstore = InProcess(tape=MemoryTape())
        self.store = self.xenstore.store
        self.bystander = Bystander(self.xenstore.guest(BYSTANDER))
        self.check()

    def stop_tape(self) -> None:
        """Keep no inputs: what is kept is measured, or a defect is none of them."""
        self.xenstore.engine.tape = None

    def client(self) -> Session:
        """A client of dom0."""
        return self._watched(self.xenstore.connect(), 0)

    def guest(self, domid: int) -> Session:
        """A domain that is introduced and has a home, in the place of any before."""
        if self.xenstore.exists(domid):
            self.xenstore.kill(domid)
        line = self.xenstore.guest(domid).transport
        assert isinstance(line, Line)
        return self._watched(line, domid)

    def _watched(self, line: Line, domid: int) -> Session:
        return Session(Watched(line, self.bystander), domid)

    def connection(self, session: Session) -> Connection:
        """The daemon's end of a session."""
        assert isinstance(session.transport, Watched)
        assert session.transport.line.connection is not None
        return session.transport.line.connection

    def unsent(self, session: Session) -> int:
        """Bytes that wait for a client to read them."""
        return self.connection(session).outbox.size

    def is_listened_to(self, session: Session) -> bool:
        """Tell whether the daemon would read what a client sends."""
        return self.connection(session).wants_input

    def limit(self, quota: str, value: int, domid: int = EVERY_DOMAIN) -> None:
        """Change a limit, of one domain or of all."""
        self.xenstore.engine.set_limit(domid, quota, value)

    def nodes(self, domid: int) -> int:
        """Nodes that a domain is charged with."""
        return self.store.usage.nodes.of(domid)

    def memory(self, domid: int) -> int:
        """Bytes that a domain is charged with."""
        return self.store.usage.memory_of(domid)

    def transactions(self) -> dict[int, int]:
        """Open transactions of each domain."""
        return self.store.usage.transactions.used

    def counts(self) -> object:
        """What there is of everything."""
        return counts_of(self.store)

    def tree(self) -> object:
        """All of the tree, and who pays for it."""
        return shape(self.store), self.store.usage.nodes.used.copy()

    def state(self) -> object:
        """All of the tree, and what there is of everything."""
        return shape(self.store), self.counts()

    def notices(self, level: str) -> list[Notice]:
        """What the log should say since this was asked last, of one level."""
        return [each for each in self.xenstore.take_notices() if each.level == level]

    def play(
        self,
        text: str,
        *,
        inside: bool = False,
        acts: Mapping[str, Callable[..., object]] | None = None,
    ) -> None:
        """Have clients say and be told what a text says; see `Dialogue`.

        Acts are ``limit nodes 9`` (of domain 1, or ``nodes 9 2``), ``nodes 1`` (how
        many it is charged with), ``transactions`` and ``watches`` (how many there are,
        or ``transactions 1``), ``note`` and ``same`` (the tree, and what there is of
        everything; ``same tree``; ``same still`` if nothing was done in between),
        ``advance 250`` (ms), ``unsent 1`` (bytes), ``served`` and the caller's.
        """
        noted: list[object] = []

        def enter(domid: int) -> Session:
            return self.guest(domid) if domid else self.client()

        def limit(quota: bytes, value: bytes, domid: bytes = b"1") -> None:
            self.limit(quota.decode(), int(value), int(domid))

        def transactions(domid: bytes = b"") -> int:
            found = self.transactions()
            return found.get(int(domid), 0) if domid else sum(found.values())

        def unsent(domid: bytes) -> int:
            connections = self.xenstore.engine.connections
            return sum(
                each.outbox.size
                for each in connections
                if each.caller.domid == int(domid)
            )

        def note() -> None:
            noted[:] = [self.tree(), self.counts(), self.store.generation]

        def same(part: bytes = b"") -> None:
            assert self.tree() == noted[0], text
            assert part == b"tree" or self.counts() == noted[1], text
            assert part != b"still" or self.store.generation == noted[2], text

        known: dict[str, Callable[..., object]] = {
            "limit": limit,
            "nodes": lambda domid: self.nodes(int(domid)),
            "transactions": transactions,
            "watches": lambda: self.store.watches.count,
            "advance": lambda ms: self.xenstore.advance(int(ms)),
            "unsent": unsent,
            "served": self.bystander.is_served,
            "note": note,
            "same": same,
        }
        Dialogue(enter, {**known, **(acts or {})}, inside=inside).play(text)

    def check(self) -> None:
        """Check that the bystander is served and the store is consistent."""
        assert self.bystander.is_served()
        assert verify(self.store) == []

    def close(self) -> None:
        """Check that nothing is left of clients that go.

        The inputs are carried out once more, and have to make the same.
        """
        self.check()
        if self.xenstore.engine.tape is not None:
            assert_replays(self.xenstore.engine)
        self.xenstore.close()
        assert verify(self.store) == []
        assert self.store.watches.count == 0
        assert self.transactions() == {}
        assert self.notices("error") == []


@contextmanager
def busily(work: Callable[[], object]) -> Iterator[None]:
    """Do something over and over meanwhile, in another thread."""
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def shallow_stack(frames: int = 60) -> Iterator[None]:
    """Leave room for only so many more nested calls."""
    depth = 0
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        depth += 1
        frame = frame.f_back
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + frames)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
