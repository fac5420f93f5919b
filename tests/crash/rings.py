"""A guest on a ring, and a daemon that can be ended between any two of its stores.

What a killed process leaves is its memory that outlives it: the page, and the files
that are mapped. `Tracer` takes a copy of these whenever a line of the daemon has
changed one, and `Daemon` can be begun with such a copy.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, cast, final

from xsd.daemon.durability import Durability
from xsd.engine import Connection, Engine, Notice
from xsd.engine.delivery import retell
from xsd.engine.guests import Guests
from xsd.hypervisor.base import Channel, Hypervisor
from xsd.persistence.ledger import NAME
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.limits import RING_SIZE
from xsd.protocol.ops import Op
from xsd.protocol.ring import (
    CONNECTED,
    PAGE_SIZE,
    RECONNECT,
    REQ_CONS,
    REQ_PROD,
    RSP_CONS,
    RSP_PROD,
    Ring,
)
from xsd.store import Store
from xsd.store.domains import Domain
from xsd.transport.reactor import Reactor
from xsd.transport.ringlink import RingLink, Rings

DOMID: Final = 5
HOME: Final = b"/local/domain/5/"

SPOILT: Final = 0xAA

_TURNS: Final = 1000
_TURN_MS: Final = 500
"""So that nobody rests for long."""

_TRACED: Final = (
    "/engine/dispatch.py",
    "/engine/engine.py",
    "/engine/handlers.py",
    "/persistence/journal.py",
    "/persistence/ledger.py",
    "/persistence/segment.py",
    "/protocol/ring.py",
    "/transport/ringlink.py",
)


class _Mute:
    """A hypervisor that nobody waits for."""

    def notify(self, channel: Channel) -> None:
        """Nobody sleeps."""


@final
class _Doors(Guests):
    """The way to the one domain that there is."""

    def __init__(self, rings: Rings, page: bytearray) -> None:
        self._rings = rings
        self._channel = Channel(DOMID, 1, memoryview(page), 1)

    def link(self, domain: Domain, connection: Connection) -> RingLink:
        return RingLink(self._rings, domain, self._channel, connection)

    def unique_id(self, domid: int) -> int | None:
        return 7 if domid == DOMID else None

    def connect(self, domain: Domain, port: int, connection: Connection) -> bool:
        self.link(domain, connection).begin()
        return True

    def reconnect(self, domain: Domain, port: int) -> None:
        self._rings.links[DOMID].restart()

    def disconnect(self, domain: Domain) -> None:
        self._rings.remove(self._rings.links[DOMID])


@final
class Daemon:
    """The parts of a daemon that have to do with it.

    Attributes:
        engine: The engine.
        durability: Keeps its state.
        notices: What it had to say.
    """

    def __init__(self, directory: Path, page: bytearray) -> None:
        """Begin or, if something is there, recover."""
        self.notices: list[Notice] = []
        self.engine = Engine(Store())
        self._loop = asyncio.new_event_loop()
        self.durability = Durability(
            directory,
            self.engine,
            self._loop,
            self.notices.append,
            checkpoint_bytes=1 << 30,
        )
        self.durability.recover()
        self._reactor = Reactor(self.engine, self.notices.append, self._loop)
        self._rings = Rings(self._reactor, cast("Hypervisor", _Mute()))
        self._rings.ledger = self.durability.ledger
        self._doors = _Doors(self._rings, page)
        self.engine.attach(self._doors)
        self._now_ms = 0
        self.durability.begin({})
        for connection in self.engine.connections:
            if connection.is_channel:
                domain = self.engine.store.introduced(DOMID)
                self._doors.link(domain, connection).resume()
            else:
                self.engine.disconnect(connection)
        for number in self.durability.untold:
            retell(self.engine.core, self.engine.core.connections[number])
        self._dom0 = self.engine.connect(0)

    def ask(self, op: int, payload: bytes) -> tuple[int, bytes]:
        """Have dom0 make a request; nobody else is served meanwhile."""
        self.engine.feed(self._dom0, encode_frame(op, 1, 0, payload))
        while not self._dom0.outbox.size:
            self._turn()
        data = bytes(self._dom0.outbox.peek())
        self.engine.sent(self._dom0, len(data))
        (reply,) = FrameDecoder().feed(data)
        return reply.op, reply.payload

    def tree(self, path: bytes = b"/") -> dict[bytes, bytes]:
        """All nodes below one, with their values."""
        found = {path: self.ask(Op.READ, path + b"\0")[1]}
        _op, names = self.ask(Op.DIRECTORY, path + b"\0")
        for name in names.split(b"\0")[:-1]:
            found.update(self.tree(path.rstrip(b"/") + b"/" + name))
        return found

    def state(self) -> list[object]:
        """What there is of the guest beside its nodes."""
        return [
            (sorted(token for _path, token in each.watches), [*each.transactions])
            for each in self.engine.connections
            if each.is_channel
        ]

    def serve(self) -> None:
        """Do all that can be done until the guest does something."""
        self._rings.queue_all()
        for _ in range(_TURNS):
            self._rings.receive()
            self._turn()
            for connection in self.engine.take_dirty():
                if connection.link is not None:
                    connection.link.update()
            self._rings.finish()
            core = self.engine.core
            if not (self._rings.busy or self.engine.busy or core.schedule.times):
                return

    def _turn(self) -> None:
        self._now_ms += _TURN_MS
        self.engine.turn(self._now_ms)

    def close(self) -> None:
        """Let go of everything, as the end of the process would."""
        for link in list(self._rings.links.values()):
            link._ring.release()
            link._slot = None
        self._reactor.close()
        self.durability.close()
        self._loop.close()


@final
class Guest:
    """A guest that follows a script.

    Attributes:
        taken: What it has got, with the step of the script at which it took it.
    """

    def __init__(self, page: bytearray) -> None:
        self._ring = Ring(memoryview(page))
        self.taken: list[tuple[int, bytes]] = []

    def write(self, data: bytes) -> int:
        """Put bytes on the ring, as far as there is room."""
        return self._ring.write_requests(data)

    def read(self, step: int, limit: int = RING_SIZE) -> int:
        """Take what there is."""
        data = self._ring.read_responses(limit)
        if data:
            self.taken.append((step, data))
        return len(data)

    def ask_to_reconnect(self) -> None:
        """Want to begin anew."""
        self._ring.connection = RECONNECT

    @property
    def is_connected(self) -> bool:
        """Whether it may use the ring."""
        return self._ring.connection == CONNECTED

    def messages(self) -> list[tuple[int, Frame]]:
        """What it has got, with the step of the script at which that was complete."""
        decoder = FrameDecoder()
        return [
            (step, frame) for step, data in self.taken for frame in decoder.feed(data)
        ]

    def close(self) -> None:
        """Give the page up."""
        self._ring.release()


@final
class Moment:
    """What is left if the daemon ends now.

    Attributes:
        page: The ring.
        files: The journal's, by name.
        step: Of the script.
        sent: Bytes of what is sent in that step which are on the ring.
        taken: What the guest has got.
        where: The line that was carried out last.
    """

    def __init__(self, page: bytes, files: dict[str, bytes], where: str) -> None:
        self.page = page
        self.files = files
        self.where = where
        self.step = 0
        self.sent = 0
        self.taken: list[tuple[int, bytes]] = []

    def spread(self, directory: Path) -> None:
        """Write the files."""
        directory.mkdir()
        for name, data in self.files.items():
            (directory / name).write_bytes(data)


@final
class Tracer:
    """Notes each state of what outlives the process.

    Attributes:
        moments: These, in order.
    """

    def __init__(
        self, directory: Path, page: bytearray, note: Callable[[Moment], None]
    ) -> None:
        self.moments: list[Moment] = []
        self._directory = directory
        self._page = page
        self._note = note
        self._last: object = None

    @contextmanager
    def tracing(self, daemon: Daemon) -> Iterator[None]:
        """Look after each line of the daemon."""
        ledger = daemon.durability.ledger
        journal = daemon.durability._journal
        assert ledger is not None
        assert journal is not None

        def look(frame: FrameType, event: str, _argument: object) -> Any:
            slots = [bytes(slot._view) for slot in ledger._used.values()]
            state = (bytes(self._page), slots, journal.size, journal.sequence)
            if state != self._last:
                self._last = state
                name = frame.f_code.co_filename.rpartition("xsd/")[2]
                self.take(f"{name}:{frame.f_lineno} {event}")
            return look

        def enter(frame: FrameType, event: str, argument: object) -> Any:
            if not frame.f_code.co_filename.endswith(_TRACED):
                return None
            return look(frame, event, argument)

        before = sys.gettrace()
        sys.settrace(enter)
        try:
            yield
        finally:
            sys.settrace(before)

    def take(self, where: str) -> None:
        """Copy what there is now."""
        files = {
            path.name: path.read_bytes()
            for path in self._directory.iterdir()
            if path.name.startswith(("segment", "checkpoint", NAME))
        }
        moment = Moment(_spoilt(self._page), files, where)
        self._note(moment)
        self.moments.append(moment)


def _spoilt(page: bytearray) -> bytes:
    """A page of which all is overwritten that holds nothing by its indexes.

    There the guest or another daemon may write at any time.
    """
    copy = bytearray(page)
    words = memoryview(copy)[2 * RING_SIZE :].cast("I")
    for base, cons, prod in ((0, REQ_CONS, REQ_PROD), (RING_SIZE, RSP_CONS, RSP_PROD)):
        for index in range(words[prod], words[cons] + RING_SIZE):
            copy[base + index % RING_SIZE] = SPOILT
    words.release()
    return bytes(copy)


def new_page() -> bytearray:
    """A page that nobody has written to."""
    return bytearray(PAGE_SIZE)
