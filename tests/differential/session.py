"""One daemon's side of a comparison: connections, steps, and what came back.

After each step every open connection is synchronised by a request of the
runner's own, so what a step caused is known completely before the next one,
and events that the daemon merges while they wait cannot depend on timing.
"""

import contextlib
from dataclasses import dataclass, replace
from typing import Final, final

from tests.differential.model import SYNC_ID, Request, Step, encode, op_name, shorten
from xsd.client import DisconnectedError
from xsd.client.transport import SocketTransport
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.testing import Session as Client
from xsd.testing.session import header

PATIENCE_S: Final = 10.0
"""After this time without a byte, an answer is taken to be missing."""

_NO_SUCH_TX: Final = 0x7FFFFFFF

_Raw = tuple[int, int, int, bytes]
_Sent = tuple[int, Request, int]


@final
@dataclass(frozen=True, slots=True)
class Message:
    """What a connection received, as far as it may not differ.

    Attributes:
        op: Type of the message; CLOSED and SILENT are no messages.
        echo: Of a reply, the place of its request in the step (or the request
            id itself, if it belongs to none), and whether the transaction id is
            the one that was sent; of an event, 0 and whether both are 0.
        payload: Payload, normalised where the generation of a node or the id
            of a transaction stands in it.
    """

    op: int
    echo: tuple[int, bool]
    payload: bytes

    def __str__(self) -> str:
        if self.op == CLOSED:
            return "(connection closed)"
        if self.op == SILENT:
            return "(no answer)"
        text = f"{op_name(self.op)} {shorten(self.payload)}"
        return text if self.echo[1] else f"{text} with other ids: {self.echo}"


CLOSED: Final = -1
SILENT: Final = -2

Outcome = dict[int, list[Message]]
"""What each connection received because of a step; no entry for nothing."""


@final
class Session:
    """Connections to one daemon while it runs one sequence.

    Attributes:
        extra_starts: By connection, transactions that the runner started
            beside those of the sequence; ids are reported as if it had not.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._links: dict[int, _Link] = {}
        self._slots: dict[tuple[int, str], int] = {}
        self._generations: dict[bytes, list[bytes]] = {}
        self._next_id = 0
        self.extra_starts: dict[int, int] = {}

    def perform(self, step: Step) -> Outcome:
        """Do one step and tell what every connection received."""
        link = self._link(step.connection)
        sent: dict[int, _Sent] = {}
        data = b""
        for request in step.requests:
            self._next_id += 1
            tx_id = self._tx_id(step.connection, request.tx)
            sent[self._next_id] = (len(sent), request, tx_id)
            data += encode(request, self._next_id, tx_id)
        link.send(data + step.raw)
        if step.closes:
            link.close()
        # Others are asked only when the step is done: they may be served first.
        outcome: Outcome = {}
        self._collect({step.connection: link}, sent, outcome)
        others = {n: other for n, other in self._links.items() if other is not link}
        self._collect(others, {}, outcome)
        for number in [n for n, other in self._links.items() if other.over]:
            self._links.pop(number).close()
            self.extra_starts.pop(number, None)
        return outcome

    def _collect(
        self, links: dict[int, "_Link"], sent: dict[int, _Sent], outcome: Outcome
    ) -> None:
        """Add what connections receive until they are synchronised."""
        for link in links.values():
            link.ask_for_sync()
        for number, link in links.items():
            messages = [
                self._message(number, raw, sent) for raw in link.receive_until_sync()
            ]
            if messages:
                outcome[number] = messages

    def close(self) -> None:
        """Close all connections."""
        for link in self._links.values():
            link.close()
        self._links.clear()

    def _link(self, number: int) -> "_Link":
        link = self._links.get(number)
        if link is None:
            link = self._links[number] = _Link(self._path)
        return link

    def _tx_id(self, connection: int, tx: str | int) -> int:
        if isinstance(tx, int):
            return tx
        return self._slots.get((connection, tx), _NO_SUCH_TX)

    def _message(self, number: int, raw: "_Raw", sent: dict[int, _Sent]) -> Message:
        op, req_id, tx_id, payload = raw
        if op < 0:
            return Message(op, (0, True), b"")
        if op == Op.WATCH_EVENT:
            return Message(op, (0, req_id == 0 and tx_id == 0), payload)
        if req_id not in sent:
            return Message(op, (req_id, False), payload)
        position, request, sent_tx = sent.pop(req_id)
        if op == Op.TRANSACTION_START:
            payload = self._started(number, request, payload)
        elif op == Op.DIRECTORY_PART:
            payload = self._label_generation(request, payload)
        return Message(op, (position, tx_id == sent_tx), payload)

    def _started(self, number: int, request: Request, payload: bytes) -> bytes:
        digits = payload.removesuffix(b"\0")
        if not digits.isdigit():
            return payload
        tx_id = int(digits)
        if request.starts:
            self._slots[number, request.starts] = tx_id
        return b"%d" % (tx_id - self.extra_starts.get(number, 0)) + payload[-1:]

    def _label_generation(self, request: Request, payload: bytes) -> bytes:
        """Replace a node's generation by how many others it had before.

        So the numbers may differ, but not when they change.
        """
        generation, nul, names = payload.partition(b"\0")
        if not generation.isdigit():
            return payload
        if request.tx:
            # How often a transaction's own copies change is nobody's business.
            return b"<generation>" + nul + names
        seen = self._generations.setdefault(request.payload.split(b"\0")[0], [])
        if generation not in seen:
            seen.append(generation)
        return b"<generation %d>" % seen.index(generation) + nul + names


@final
class _Link:
    """A connection: what it is sent is not looked at before the comparison."""

    def __init__(self, path: str) -> None:
        transport = SocketTransport(path, PATIENCE_S)
        self._session = Client(transport, timeout=PATIENCE_S)
        self.over = False
        self._wants_sync = False

    def send(self, data: bytes) -> None:
        """Send, unless the daemon has closed the connection."""
        # What was received before is still to be read.
        with contextlib.suppress(DisconnectedError):
            self._session.send(data)

    def ask_for_sync(self) -> None:
        """Ask for something, after whose answer everything queued has come."""
        if not self.over:
            self.send(encode_frame(Op.GET_DOMAIN_PATH, SYNC_ID, 0, b"0\0"))
            self._wants_sync = True

    def receive_until_sync(self) -> list[_Raw]:
        """All messages before the answer to `ask_for_sync`."""
        got: list[_Raw] = []
        try:
            while self._wants_sync:
                (frame,) = self._session.frames(1)
                if frame.req_id == SYNC_ID:
                    self._wants_sync = False
                else:
                    got.append((frame.op, frame.req_id, frame.tx_id, frame.payload))
        except (DisconnectedError, TimeoutError) as error:
            why = SILENT if isinstance(error, TimeoutError) else CLOSED
            got.append((why, 0, 0, b""))
            self._wants_sync = False
            self.over = True
        return got

    def close(self) -> None:
        """Close our end."""
        self._wants_sync = False
        self.over = True
        self._session.close()


def without_numbers(messages: list[Message]) -> list[Message]:
    """Messages without what two runs of one transaction have different."""
    plain = []
    for message in messages:
        payload = message.payload
        if message.op == Op.DIRECTORY_PART:
            payload = payload.partition(b"\0")[2]
        plain.append(replace(message, echo=(0, message.echo[1]), payload=payload))
    return plain


def announced(length: int) -> bytes:
    """Header of a READ that announces a payload of this length."""
    return header(Op.READ, length)
