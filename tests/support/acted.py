"""A daemon in the test's own process that has a few nodes and room for little."""

from collections.abc import Iterable
from typing import final

from xsd.client import Client, Transport
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op


@final
class ActedDaemon(Transport):
    """The way to a daemon that answers READ, GET_PERMS and DIRECTORY.

    Args:
        room: Bytes that wait for the daemon at most, and bytes that wait for the client
            at most before the daemon reads on; 0 for any number.

    Attributes:
        nodes: Names of children by path.
        refused: Errors for a type of request and a path.
        asked: Types and paths of requests, in order.
        most: Requests that came before the client took a reply.
    """

    def __init__(self, room: int = 0) -> None:
        self.nodes: dict[bytes, list[bytes]] = {}
        self.refused: dict[tuple[Op, bytes], str] = {}
        self.asked: list[tuple[Op, bytes]] = []
        self.most = 0
        self._room = room
        self._decoder = FrameDecoder()
        self._unread = b""
        self._replies = b""
        self._since = 0

    def client(self) -> Client:
        return Client(transport=self)

    def add(self, paths: Iterable[str]) -> None:
        """Make nodes, and those above them, in this order."""
        self.nodes.setdefault(b"/t", [])
        for path in paths:
            above = b"/t"
            for name in path.encode().split(b"/"):
                if name not in self.nodes[above]:
                    self.nodes[above].append(name)
                above += b"/" + name
                self.nodes.setdefault(above, [])

    def send(self, data: bytes, timeout: float | None) -> None:
        while data:
            taken = self.send_some(data)
            # Else nothing but the client itself could make room, who waits.
            assert taken, "client and daemon wait for each other"
            data = data[taken:]

    def send_some(self, data: bytes) -> int:
        taken = len(data)
        if self._room:
            taken = min(taken, self._room - len(self._unread))
        self._unread += data[:taken]
        self._work()
        return taken

    def receive(self, timeout: float | None) -> bytes:
        # In small pieces, as it may be.
        size = max(7, self._room // 3) if self._room else len(self._replies)
        given, self._replies = self._replies[:size], self._replies[size:]
        assert given, "client and daemon wait for each other"
        self._since = 0
        self._work()
        return given

    def close(self) -> None:
        self._unread = b""

    def _work(self) -> None:
        """Read requests one at a time, as long as replies find room."""
        while self._unread and not (self._room and len(self._replies) > self._room):
            piece, self._unread = self._unread[:16], self._unread[16:]
            for frame in self._decoder.feed(piece):
                self._replies += self._answer(frame)
                self._since += 1
                self.most = max(self.most, self._since)

    def _answer(self, frame: Frame) -> bytes:
        op, path = Op(frame.op), frame.payload.partition(b"\0")[0]
        self.asked.append((op, path))
        error = self.refused.get((op, path))
        if error is None and path not in self.nodes:
            error = "ENOENT"
        if error is not None:
            return encode_frame(Op.ERROR, frame.req_id, 0, error.encode() + b"\0")
        payload = path.rpartition(b"/")[2]
        if op == Op.GET_PERMS:
            payload = b"n0\0r5\0"
        elif op == Op.DIRECTORY:
            payload = b"".join(name + b"\0" for name in self.nodes[path])
        return encode_frame(op, frame.req_id, 0, payload)
