"""A daemon on a pretended Xen that replays can be made of: C xenstored, or ours."""

from pathlib import Path
from typing import Any, final

from tests.recorded.replay import Line, World
from tests.support.shimmed import PATIENCE_S, Shim
from xsd.protocol.frame import encode_frame


@final
class Shimmed(World):
    """See `World`; the guests are those of `domu.py`."""

    def __init__(self, directory: Path) -> None:
        """Look at a daemon.

        Args:
            directory: That of its socket and, in `shim`, its hypervisor's files.
        """
        self._shim = Shim(directory / "shim")
        self._path = directory / "socket"
        self._guests: dict[int, Any] = {}
        self._dead: list[Any] = []

    def socket(self) -> Line:
        """See `World.socket`."""
        return _line(self._shim.client(self._path))

    def create(self, domid: int) -> int:
        """See `World.create`."""
        self._guests[domid] = self._shim.guest(domid)
        port: int = self._guests[domid].port
        return port

    def destroy(self, domid: int) -> None:
        """See `World.destroy`."""
        guest = self._guests.pop(domid)
        guest.mark("dying")
        guest.virq()
        self._dead.append(guest)

    def ring(self, domid: int) -> Line:
        """See `World.ring`."""
        line = _line(self._guests[domid])
        # A ring ends with its domain only.
        return Line(line.send, line.receive, lambda: None)

    def close(self) -> None:
        """Let the guests go."""
        for guest in (*self._guests.values(), *self._dead):
            guest.close()


def _line(client: Any) -> Line:
    def receive() -> bytes:
        frame = client.receive_frame(PATIENCE_S)
        op, req_id, tx, payload = frame
        return encode_frame(op, req_id, tx, payload)

    return Line(client.send, receive, client.close)
