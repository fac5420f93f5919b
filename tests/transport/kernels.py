"""Hypervisors of one process with guests that move only when the test says so."""

import asyncio
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, final

from tests.hypervisor.shim import Shim, kicks
from xsd.hypervisor.base import Hypervisor
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.hypervisor.xen import XenHypervisor
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.limits import RING_SIZE
from xsd.protocol.ops import Op
from xsd.protocol.ring import REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD, Ring
from xsd.testing import Guest, PretendedHost

_FIELDS: Final = slice(2 * RING_SIZE, 2 * RING_SIZE + 32)
_MASK: Final = 0xFFFFFFFF
_NEW_PORT: Final = 300


Todo = Mapping[str, tuple[int, ...]]
Quiet = Callable[[], Awaitable[None]]


@final
class Kernel:
    """A guest's end of a ring.

    Attributes:
        domid: The domain.
        port: Its end of the event channel.
        ring: Its page.
        fields: The numbers in it by `REQ_CONS` and so on.
        notify: Tells the server to look.
    """

    def __init__(
        self,
        domid: int,
        port: int,
        page: memoryview,
        notify: Callable[[], None],
        kicked: Callable[[], int],
        *,
        lazy: bool,
    ) -> None:
        """Look at a domain.

        Args:
            domid: The domain.
            port: Its end of the event channel.
            page: Its ring.
            notify: Notifies the server.
            kicked: Takes the server's notifications, and returns how many.
            lazy: Notify as rarely as Linux does: see `RingTransport`.
        """
        self.domid = domid
        self.port = port
        self.ring = Ring(page)
        self.fields = page[_FIELDS].cast("I")
        self.notify = notify
        self._kicked = kicked
        self._lazy = lazy
        self._decoder = FrameDecoder()
        self._frames: list[Frame] = []
        self._last = 0

    def frame(self, op: int, payload: bytes = b"", tx: int = 0) -> bytes:
        """Make a request with the next request id."""
        self._last += 1
        return encode_frame(op, self._last, tx, payload)

    def put(self, data: bytes) -> int:
        """Write what there is room for, notifying as it would; return how much."""
        before = self.fields[REQ_PROD]
        size = self.ring.write_requests(data)
        taken = (self.fields[REQ_CONS] - before) & _MASK <= size
        if size and (taken or not self._lazy):
            self.notify()
        return size

    def take(self, limit: int = RING_SIZE) -> bytes:
        """Read what is there, notifying as it would; may be nothing."""
        before = self.fields[RSP_CONS]
        data = self.ring.read_responses(limit)
        was_full = (self.fields[RSP_PROD] - before) & _MASK >= RING_SIZE
        if data and (was_full or not self._lazy):
            self.notify()
        return data

    def take_notification(self) -> bool:
        """Tell whether the server has notified since this was asked last."""
        return self._kicked() > 0

    def count_notifications(self) -> int:
        """Return how often it has."""
        return self._kicked()

    async def send(self, data: bytes) -> None:
        """Write bytes; what comes meanwhile is kept."""
        while data := data[self.put(data) :]:
            self._frames += self._decoder.feed(self.take())
            await asyncio.sleep(0)

    async def frames(self, count: int) -> list[Frame]:
        """Read so many messages."""
        while len(self._frames) < count:
            self._frames += self._decoder.feed(self.take())
            await asyncio.sleep(0)
        taken, self._frames = self._frames[:count], self._frames[count:]
        return taken

    async def request(self, op: int, payload: bytes = b"", tx: int = 0) -> Frame:
        """Send a request and read one message, which should be its reply."""
        await self.send(self.frame(op, payload, tx))
        (reply,) = await self.frames(1)
        assert (reply.req_id, reply.tx_id) == (self._last, tx)
        return reply

    async def start(self) -> int:
        """TRANSACTION_START."""
        reply = await self.request(Op.TRANSACTION_START, b"\0")
        return int(reply.payload.removesuffix(b"\0"))

    def begin_anew(self) -> None:
        """Forget what was under way, as after INTRODUCE of a known domain."""
        self._decoder = FrameDecoder()
        self._frames = []

    def release(self) -> None:
        """Give the views of the page up."""
        self.fields.release()
        self.ring.release()


class Host(ABC):
    """A hypervisor, and what a toolstack would do there."""

    @property
    @abstractmethod
    def hypervisor(self) -> Hypervisor:
        """For the server."""

    @abstractmethod
    def begin(self) -> None:
        """The server has been started."""

    @abstractmethod
    async def create(self, domid: int) -> Kernel:
        """Make a domain."""

    @abstractmethod
    async def attach(self, domid: int) -> Kernel:
        """The present domain of that number, seen anew."""

    @abstractmethod
    async def stop(self, domid: int) -> None:
        """Have a domain shut down by itself."""

    @abstractmethod
    async def resume(self, domid: int, *, new_port: bool = False) -> None:
        """Have it run again, perhaps with another event channel."""

    @abstractmethod
    async def kill(self, domid: int) -> None:
        """Destroy a domain."""

    @abstractmethod
    async def at_once(self, quiet: Quiet, todo: Todo) -> None:
        """Do several things that the server notices together.

        Args:
            quiet: Lets the server come to rest.
            todo: Domains by ``kill``, ``create`` or ``shutdown``.
        """

    @abstractmethod
    def is_let_go(self, domid: int) -> bool:
        """Tell whether the server has let go of a dead domain's page."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back but the hypervisor."""


@final
class EmulatedHost(Host):
    """The product's own.

    Attributes:
        control: Path of its control socket.
    """

    def __init__(self, directory: Path, *, lazy: bool, own: bool) -> None:
        self.control = str(directory / "control")
        self._hypervisor = EmulatedHypervisor(self.control)
        self._lazy = lazy
        self._guests: list[Guest] = []
        if own:
            self.hypervisor._answer({"do": "create", "domid": 0})

    @property
    def hypervisor(self) -> EmulatedHypervisor:
        return self._hypervisor

    def begin(self) -> None:
        self._client = PretendedHost(self.control)

    async def create(self, domid: int) -> Kernel:
        return self._kernel(await asyncio.to_thread(self._client.create, domid))

    async def attach(self, domid: int) -> Kernel:
        return self._kernel(await asyncio.to_thread(self._client.attach, domid))

    def _kernel(self, guest: Guest) -> Kernel:
        self._guests.append(guest)
        end = guest._ring_transport

        def kicked() -> int:
            try:
                return len(os.read(end._to_guest, 1 << 16)) // 8
            except BlockingIOError:
                return 0

        page = end.ring._page
        lazy = self._lazy
        return Kernel(guest.domid, guest.port, page, end.notify, kicked, lazy=lazy)

    async def stop(self, domid: int) -> None:
        await asyncio.to_thread(self._client.shutdown, domid)

    async def resume(self, domid: int, *, new_port: bool = False) -> None:
        await asyncio.to_thread(self._client.resume, domid, new_port=new_port)

    async def kill(self, domid: int) -> None:
        await asyncio.to_thread(self._client.kill, domid)

    async def at_once(self, quiet: Quiet, todo: Todo) -> None:
        clients = []
        for what, domids in todo.items():
            for domid in domids:
                client = socket.socket(socket.AF_UNIX)
                client.connect(self.control)
                request = b'{"do": "%s", "domid": %d}\n' % (what.encode(), domid)
                clients.append((client, request))
        await quiet()
        for client, request in clients:
            client.sendall(request)
        await quiet()
        for client, _ in clients:
            reply, received, _, _ = socket.recv_fds(client, 1024, 3)
            for descriptor in received:
                socket.close(descriptor)
            assert b"error" not in reply
            client.close()

    def is_let_go(self, domid: int) -> bool:
        return domid not in self.hypervisor.domains()

    def close(self) -> None:
        self._client.close()
        for guest in self._guests:
            guest.close()
        self._guests.clear()


@final
class ShimHost(Host):
    """The code that talks to Xen, and a Xen that is pretended below it."""

    def __init__(self, shim: Shim, *, own: bool) -> None:
        self._shim = shim
        self._guests: dict[int, Any] = {}
        if own:
            self._guests[0] = shim.kernel()
        self._hypervisor = XenHypervisor()

    @property
    def hypervisor(self) -> XenHypervisor:
        return self._hypervisor

    def begin(self) -> None:
        pass

    async def create(self, domid: int) -> Kernel:
        self._guests[domid] = self._shim.guest(domid)
        return await self.attach(domid)

    async def attach(self, domid: int) -> Kernel:
        guest = self._guests[domid]
        port = guest.port

        def notify() -> None:
            guest._record(domid, port)

        def kicked() -> int:
            return kicks(guest)

        page = memoryview(guest.map)
        return Kernel(domid, port, page, notify, kicked, lazy=False)

    async def stop(self, domid: int) -> None:
        self._guests[domid].mark("shutdown")
        self._guests[domid].virq()

    async def resume(self, domid: int, *, new_port: bool = False) -> None:
        guest = self._guests[domid]
        guest.mark("shutdown", on=False)
        if new_port:
            guest.port = _NEW_PORT
            (self._shim.directory / f"evtchn-{domid}").write_text(str(_NEW_PORT))

    async def kill(self, domid: int) -> None:
        self._guests[domid].mark("dying")
        self._guests[domid].virq()

    async def at_once(self, quiet: Quiet, todo: Todo) -> None:
        marks = {"kill": "dying", "shutdown": "shutdown"}
        for what, domids in todo.items():
            for domid in domids:
                self._guests[domid].mark(marks[what])
        next(iter(self._guests.values())).virq()

    def is_let_go(self, domid: int) -> bool:
        maps = Path("/proc/self/maps").read_text("ascii")
        return maps.count(f"/ring-{domid}\n") == 1  # the guest's own

    def close(self) -> None:
        for guest in self._guests.values():
            guest.close()
        self._guests.clear()
