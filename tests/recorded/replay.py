"""Requests of a real host, as `--record` keeps them, made again of another daemon.

They are made one after the other, in the order in which the first daemon took them,
over connections as there were: sockets for dom0 (its kernel included), rings for
guests. So the replies can depend on nothing but the daemon.
"""

import gzip
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, final

from xsd.client.transport import SocketTransport
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.testing import Guest, PretendedHost

PATIENCE_S: Final = 30.0
_ENCODING: Final = "latin-1"
_GENERATION: Final = b"<generation>"


@final
@dataclass(slots=True)
class Exchange:
    """A request and the reply to it, the bytes as text (Latin-1).

    Attributes:
        connection: Number of the connection; 0 is nobody's.
        domid: Whose it is.
        op: Type of the request.
        tx: Its transaction.
        request: Its payload.
        reply_op: Type of the reply.
        reply: Its payload, without what depends on the daemon's own counters.
    """

    connection: int
    domid: int
    op: int
    tx: int
    request: str
    reply_op: int = 0
    reply: str = ""

    def __str__(self) -> str:
        who = f"dom{self.domid} c{self.connection}"
        asked = f"{Op(self.op).name} [{self.tx}] {self.request!r}"
        return f"{who} {asked} -> {Op(self.reply_op).name} {self.reply!r}"


CLOSE: Final = -1
"""In the place of a type: the connection is closed, and there is no reply."""


def requests_of(recording: Iterable[str]) -> Iterator[Exchange]:
    """Return the requests of a recording, in order, without replies.

    Args:
        recording: Its lines.
    """
    decoders: dict[int, FrameDecoder] = {}
    for line in map(json.loads, recording):
        number, domid = line["connection"], line["domid"]
        if line["what"] == "data":
            decoder = decoders.setdefault(number, FrameDecoder())
            for frame in decoder.feed(line["bytes"].encode(_ENCODING)):
                text = frame.payload.decode(_ENCODING)
                yield Exchange(number, domid, frame.op, frame.tx_id, text)
        elif line["what"] == "close":
            yield Exchange(number, domid, CLOSE, 0, "")


def load(path: Path) -> list[Exchange]:
    """Read a file of exchanges."""
    with gzip.open(path, "rt", encoding="ascii") as lines:
        return [Exchange(**json.loads(line)) for line in lines]


def save(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Write a file of exchanges, one JSON object a line."""
    text = "".join(json.dumps(asdict(each)) + "\n" for each in exchanges)
    path.write_bytes(gzip.compress(text.encode("ascii"), mtime=0))


class World(ABC):
    """A daemon, with a hypervisor that domains can be made of."""

    @abstractmethod
    def socket(self) -> "Line":
        """A new client of dom0."""

    @abstractmethod
    def create(self, domid: int) -> int:
        """Make a domain and return the port that INTRODUCE is to be told."""

    @abstractmethod
    def destroy(self, domid: int) -> None:
        """End a domain; the daemon may notice it later."""

    @abstractmethod
    def ring(self, domid: int) -> "Line":
        """The guest of a domain that was made and introduced."""


@final
@dataclass(slots=True)
class Line:
    """A connection: how bytes go out and come in, and how it ends."""

    send: Callable[[bytes], object]
    receive: Callable[[], bytes]
    close: Callable[[], object]
    decoder: FrameDecoder = field(default_factory=FrameDecoder)
    waiting: list[Frame] = field(default_factory=list)

    def request(self, op: int, tx: int, payload: bytes) -> Frame:
        """Make a request and return the reply to it; events are not of interest."""
        self.send(encode_frame(op, 1, tx, payload))
        while True:
            while self.waiting:
                frame = self.waiting.pop(0)
                if frame.op != Op.WATCH_EVENT:
                    return frame
            self.waiting = self.decoder.feed(self.receive())


def replay(exchanges: Iterable[Exchange], world: World) -> Iterator[Exchange]:
    """Make the same requests; return them with the replies that there are now."""
    player = _Player(world)
    for each in exchanges:
        if each.op == CLOSE:
            player.end(each)
            yield each
        else:
            frame = player.request(each)
            reply = frame.payload
            if frame.op == Op.DIRECTORY_PART:
                reply = _GENERATION + b"\0" + reply.partition(b"\0")[2]
            yield replace(each, reply_op=frame.op, reply=reply.decode(_ENCODING))
    player.close()


@final
class _Player:
    """Connections and domains of a replay, by the numbers of the recording."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lines: dict[int, Line] = {}
        self._ports: dict[int, int] = {}
        self._control = world.socket()
        # Ids of transactions, by those of the recording, and those not used yet.
        self._transactions: dict[tuple[int, int], int] = {}
        self._started: dict[int, list[int]] = {}

    def request(self, each: Exchange) -> Frame:
        """Make a request."""
        line = self._lines.get(each.connection)
        if line is None:
            domid = each.domid
            line = self._world.ring(domid) if domid else self._world.socket()
            self._lines[each.connection] = line
        payload = each.request.encode(_ENCODING)
        if each.op == Op.SET_PERMS and not each.domid:
            # The toolstack has made a domain before it gives rights to it.
            for entry in payload.split(b"\0")[1:-1]:
                self._make(int(entry[1:]))
        if each.op == Op.INTRODUCE:
            payload = self._introduce(int(payload.split(b"\0")[0]))
        frame = line.request(each.op, self._transaction(each), payload)
        if frame.op == Op.TRANSACTION_START:
            number = int(frame.payload.removesuffix(b"\0"))
            self._started.setdefault(each.connection, []).append(number)
        return frame

    def end(self, each: Exchange) -> None:
        """End a connection; a ring ends with its domain."""
        line = self._lines.pop(each.connection, None)
        if each.domid in self._ports:
            del self._ports[each.domid]
            self._world.destroy(each.domid)
            # Until the daemon has noticed.
            while self._is_introduced(each.domid):
                pass
        if line is not None:
            line.close()

    def close(self) -> None:
        """Close what the recording leaves open."""
        for line in (*self._lines.values(), self._control):
            line.close()

    def _make(self, domid: int) -> None:
        if domid and domid not in self._ports:
            self._ports[domid] = self._world.create(domid)

    def _introduce(self, domid: int) -> bytes:
        self._make(domid)
        # The event channel is another one here.
        return b"%d\x001\0%d\0" % (domid, self._ports[domid])

    def _is_introduced(self, domid: int) -> bool:
        frame = self._control.request(Op.IS_DOMAIN_INTRODUCED, 0, b"%d\0" % domid)
        return frame.payload == b"T\0"

    def _transaction(self, each: Exchange) -> int:
        """Id that a transaction has here; 0 for none, or what nobody has started."""
        key = each.connection, each.tx
        started = self._started.get(each.connection)
        if each.tx and key not in self._transactions and started:
            self._transactions[key] = started.pop(0)
        number = self._transactions.get(key, each.tx)
        if each.op == Op.TRANSACTION_END:
            self._transactions.pop(key, None)
        return number


@final
class Pretended(World):
    """Our daemon with its pretended hypervisor."""

    def __init__(self, socket: str, host: PretendedHost) -> None:
        self._socket = socket
        self._host = host
        self._guests: dict[int, Guest] = {}

    def socket(self) -> Line:
        """See `World.socket`."""
        transport = SocketTransport(self._socket, PATIENCE_S)
        return Line(
            lambda data: transport.send(data, PATIENCE_S),
            lambda: transport.receive(PATIENCE_S),
            transport.close,
        )

    def create(self, domid: int) -> int:
        """See `World.create`."""
        self._guests[domid] = self._host.create(domid)
        return self._guests[domid].port

    def destroy(self, domid: int) -> None:
        """See `World.destroy`."""
        self._guests.pop(domid).close()
        self._host.kill(domid)

    def ring(self, domid: int) -> Line:
        """See `World.ring`."""
        guest = self._guests[domid]
        return Line(guest.send_bytes, guest.receive_bytes, lambda: None)

    def close(self) -> None:
        """Let the guests go."""
        for guest in self._guests.values():
            guest.close()
