"""Talk to a control socket whose server is in the same thread."""

import json
import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import final

TURNS_MAX = 1000


@final
class TurnTaker:
    """A control client that lets the server have its turns while it waits."""

    def __init__(self, path: Path, turn: Callable[[], object]) -> None:
        self._turn = turn
        self._received: list[int] = []
        self.descriptors: list[int] = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))

    def __enter__(self) -> "TurnTaker":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        for descriptor in self._received:
            socket.close(descriptor)

    def ask(self, request: dict[str, object] | bytes) -> dict[str, object]:
        if not isinstance(request, bytes):
            request = json.dumps(request).encode() + b"\n"
        self.socket.sendall(request)
        return self.reply()

    def reply(self) -> dict[str, object]:
        line = b""
        self.descriptors = []
        while not line.endswith(b"\n"):
            self.wait()
            data, received, _, _ = socket.recv_fds(self.socket, 1, 3)
            self._received += received
            self.descriptors += received
            assert data, "cut off"
            line += data
        reply = json.loads(line)
        assert isinstance(reply, dict)
        return reply

    def is_cut_off(self) -> bool:
        """Tell whether the server has nothing more to say, and no ear either."""
        self.wait()
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except ConnectionResetError:
            return True

    def wait(self) -> None:
        """Give the server turns until something has come."""
        # Not select(), which takes no descriptor from 1,024 on.
        waiting = select.poll()
        waiting.register(self.socket, select.POLLIN)
        for _ in range(TURNS_MAX):
            if waiting.poll(0):
                return
            self._turn()
        raise AssertionError("nothing came")
