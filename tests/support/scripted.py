"""Daemons that say what the test tells them to, for answers no real one gives."""

import socket
from pathlib import Path
from typing import final

from xsd.client import Client, DisconnectedError, Transport
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op


@final
class ScriptedDaemon:
    """The daemon's end of one client's connection.

    Answers are put into the socket before the client asks, which works because
    request ids count from 1 and the client reads only after it has asked.
    """

    def __init__(self, directory: Path, *, timeout: float | None = 10.0) -> None:
        path = str(directory / "socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen(1)
            self.client = Client(path, timeout=timeout)
            self._end, _ = listener.accept()
        self._end.settimeout(10.0)
        self._answered = 0

    def __enter__(self) -> "ScriptedDaemon":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._end.close()

    def answer(self, op: int, payload: bytes, tx_id: int = 0) -> None:
        """Say what the next request not answered yet will get."""
        self._answered += 1
        self._end.sendall(encode_frame(op, self._answered, tx_id, payload))

    def refuse(self, name: bytes) -> None:
        self.answer(Op.ERROR, name + b"\0")

    def event(self, path: bytes, token: bytes) -> None:
        payload = path + b"\0" + token + b"\0"
        self._end.sendall(encode_frame(Op.WATCH_EVENT, 0, 0, payload))

    def send(self, data: bytes) -> None:
        self._end.sendall(data)

    def hang_up(self) -> None:
        self._end.close()

    def requests(self) -> list[Frame]:
        """Return what the client has sent so far; it must have sent something."""
        return FrameDecoder().feed(self._end.recv(65536))


@final
class Prepared(Transport):
    """A way to no daemon: it answers with what was prepared, b"" is a time-out."""

    def __init__(self, *received: bytes) -> None:
        self.received = list(received)
        self.sent = b""
        self.limits: list[float | None] = []
        self.closed = 0

    def send(self, data: bytes, timeout: float | None) -> None:
        self.sent += data
        self.limits.append(timeout)

    def receive(self, timeout: float | None) -> bytes:
        if not self.received:
            raise DisconnectedError("no more")
        if part := self.received.pop(0):
            return part
        raise TimeoutError

    def close(self) -> None:
        self.closed += 1
