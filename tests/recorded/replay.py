"""Requests of a real host, on tapes as `--record` writes, made again of another daemon.

They are made one after the other, in the order in which the first daemon took them,
over connections as there were: sockets for dom0 (its kernel included), rings for
guests. So the replies can depend on nothing but the daemon.
"""

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

from tests.support.worlds import EngineWorld, World
from xsd.engine.inputs import CAME, DOMAINS, REQUEST, WENT, Input
from xsd.engine.replay import UNKNOWN
from xsd.persistence.tape import TapeReader, encode, encode_header
from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.inprocess import Line
from xsd.testing.session import Message

_ENCODING: Final = "latin-1"
_GENERATION: Final = b"<generation>"

_REPLY: Final = ("reply_op", "reply")
"""Keys of a line with the reply that is expected, which readers of tapes ignore."""


@final
@dataclass(slots=True)
class Exchange:
    """A request and the reply to it, the bytes as text (Latin-1)."""

    connection: int  # 0 is nobody's
    domid: int
    op: int
    tx: int
    request: str
    reply_op: int = 0
    reply: str = ""  # without what depends on the daemon's own counters

    def __str__(self) -> str:
        who = f"dom{self.domid} c{self.connection}"
        asked = f"{Op(self.op).name} [{self.tx}] {self.request!r}"
        return f"{who} {asked} -> {Op(self.reply_op).name} {self.reply!r}"


CLOSE: Final = -1
"""In the place of a type: the connection is closed, and there is no reply."""


def exchanges_of(lines: Iterable[bytes]) -> Iterator[Exchange]:
    """Return what clients did, by a tape, in order.

    Replies are there if the lines have them, beside what the format asks for.
    """
    rings: dict[int, int] = {}
    domids: dict[int, int] = {}
    for recorded in TapeReader(lines):
        entry = recorded.entry
        if entry.kind == CAME:
            domids[entry.connection] = entry.domid
        elif entry.kind == WENT:
            number = entry.connection
            yield Exchange(number, domids.pop(number), CLOSE, 0, "")
        elif entry.kind == DOMAINS:
            for domid in entry.numbers[1 + entry.numbers[0] :]:
                yield Exchange(rings.pop(domid, 0), domid, CLOSE, 0, "")
        elif entry.frame is not None:
            frame, number, domid = entry.frame, entry.connection, entry.domid
            if domid:
                rings[domid] = number
            text = frame.payload.decode(_ENCODING)
            reply: dict[str, Any] = {
                key: recorded.keys[key] for key in _REPLY if key in recorded.keys
            }
            yield Exchange(number, domid, frame.op, frame.tx_id, text, **reply)


def read(path: Path) -> list[bytes]:
    with gzip.open(path) as lines:
        return list(lines)


def save(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Write a packed tape of exchanges, with their replies.

    What the engine notes is what they do to it here. Beside that there are the
    requests that change nothing, which a daemon's own tape does not have. The
    generations are left out: they are not the same for every version of the store.
    """
    lines = [encode_header(0)]
    with EngineWorld() as world:
        player = _Player(world)
        done = 0
        for each in exchanges:
            player.end(each) if each.op == CLOSE else player.request(each)
            entries = world.tape.inputs[done:]
            done += len(entries)
            if each.op != CLOSE and not any(x.kind == REQUEST for x in entries):
                entries.append(player.as_input(each))
            for entry in entries:
                entry.generation = UNKNOWN
                reply = {"reply_op": each.reply_op, "reply": each.reply}
                is_asked = entry.kind == REQUEST and (each.reply_op or each.reply)
                lines.append(encode(entry, 0, reply if is_asked else None))
        player.close()
    path.write_bytes(gzip.compress(b"".join(lines), mtime=0))


def replay(exchanges: Iterable[Exchange], world: World) -> Iterator[Exchange]:
    """Make the same requests; return them with the replies that there are now."""
    player = _Player(world)
    for each in exchanges:
        if each.op == CLOSE:
            player.end(each)
            yield each
        else:
            op, reply = player.request(each)
            if op == Op.DIRECTORY_PART:
                reply = _GENERATION + b"\0" + reply.partition(b"\0")[2]
            yield replace(each, reply_op=op, reply=reply.decode(_ENCODING))
    player.close()


@final
class _Player:
    """Connections and domains of a replay, by the numbers of the recording."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions: dict[int, Session] = {}
        self._ports: dict[int, int] = {}
        # Ids of transactions, by those of the recording, and those not used yet.
        self._transactions: dict[tuple[int, int], int] = {}
        self._started: dict[int, list[int]] = {}
        self._sent = b""

    def as_input(self, each: Exchange) -> Input:
        """The last request as the engine alone was asked it."""
        line = self._sessions[each.connection].transport
        assert isinstance(line, Line)
        assert line.connection is not None
        (frame,) = FrameDecoder().feed(self._sent)
        return Input(REQUEST, UNKNOWN, line.connection.id, each.domid, frame)

    def request(self, each: Exchange) -> Message:
        """Make a request and return its reply; events are not of interest."""
        session = self._sessions.get(each.connection)
        if session is None:
            world, domid = self._world, each.domid
            session = world.session(domid) if domid else world.client()
            self._sessions[each.connection] = session
        payload = each.request.encode(_ENCODING)
        if each.op == Op.SET_PERMS and not each.domid:
            # The toolstack has made a domain before it gives rights to it.
            for entry in payload.split(b"\0")[1:-1]:
                self._make(int(entry[1:]))
        if each.op == Op.INTRODUCE:
            domid = int(payload.split(b"\0")[0])
            self._make(domid)
            # The event channel is another one here.
            payload = b"%d\x001\0%d\0" % (domid, self._ports[domid])
        tx = self._transaction(each)
        self._sent = encode_frame(each.op, 1, tx, payload)
        messages = session.ask(each.op, payload, tx)
        (reply,) = [message for message in messages if message[0] != Op.WATCH_EVENT]
        if reply[0] == Op.TRANSACTION_START:
            number = int(reply[1].removesuffix(b"\0"))
            self._started.setdefault(each.connection, []).append(number)
        return reply

    def end(self, each: Exchange) -> None:
        """End a connection; a ring ends with its domain."""
        session = self._sessions.pop(each.connection, None)
        if each.domid in self._ports:
            del self._ports[each.domid]
            self._world.destroy(each.domid)
            # Until the daemon has noticed.
            while self._is_introduced(each.domid):
                pass
        if session is not None:
            session.close()

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()

    def _make(self, domid: int) -> None:
        if domid and domid not in self._ports:
            self._ports[domid] = self._world.create(domid)

    def _is_introduced(self, domid: int) -> bool:
        answer = self._world.dom0.get(Op.IS_DOMAIN_INTRODUCED, b"%d\0" % domid)
        return answer == b"T\0"

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
