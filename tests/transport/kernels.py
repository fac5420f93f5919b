"""Hypervisors of one process with guests that move only when the test says so."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, final

from tests.hypervisor.shim import Shim, kicks
from tests.transport.support import Asker
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.hypervisor.xen import XenHypervisor
from xsd.protocol.frame import FrameDecoder
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
class Kernel(Asker):
    """A guest's end of a ring.

    Attributes:
        domid: The domain.
        port: Its end of the event channel.
        ring: Its page.
        fields: The numbers in it by `REQ_CONS` and so on.
        notify: Tells the server to look.
        count_notifications: Takes the server's notifications, and tells how many.

    A lazy one notifies as rarely as Linux does: see `RingTransport`.
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
        super().__init__()
        self.domid = domid
        self.port = port
        self.ring = Ring(page)
        self.fields = page[_FIELDS].cast("I")
        self.notify = notify
        self.count_notifications = kicked
        self._lazy = lazy

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
        return self.count_notifications() > 0

    async def send(self, data: bytes) -> None:
        while data := data[self.put(data) :]:
            self._frames += self._decoder.feed(await self._receive())

    async def _receive(self) -> bytes:
        data = self.take()
        await asyncio.sleep(0)
        return data

    async def start(self) -> int:
        """TRANSACTION_START."""
        return int((await self.ask(Op.TRANSACTION_START, b"\0")).removesuffix(b"\0"))

    def begin_anew(self) -> None:
        """Forget what was under way, as after INTRODUCE of a known domain."""
        self._decoder = FrameDecoder()
        self._frames = []

    def release(self) -> None:
        """Give the views of the page up."""
        self.fields.release()
        self.ring.release()


@final
class EmulatedHost:
    """The product's own hypervisor, and what a toolstack would do there."""

    def __init__(self, directory: Path, *, lazy: bool, own: bool) -> None:
        self.control = str(directory / "control")
        self.hypervisor = EmulatedHypervisor(self.control)
        self._lazy = lazy
        self._guests: list[Guest] = []
        if own:
            self.hypervisor._answer({"do": "create", "domid": 0})

    def begin(self) -> None:
        """The server has been started."""
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
        """Do several things that the server notices together.

        Args:
            quiet: Lets the server come to rest.
            todo: Domains by ``kill``, ``create`` or ``shutdown``.
        """
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
        """Tell whether the server has let go of a dead domain's page."""
        return domid not in self.hypervisor.domains()

    def close(self) -> None:
        self._client.close()
        for guest in self._guests:
            guest.close()
        self._guests.clear()


@final
class ShimHost:
    """The same with the code that talks to Xen, and a Xen pretended below it."""

    def __init__(self, shim: Shim, *, own: bool) -> None:
        self._shim = shim
        self._guests: dict[int, Any] = {}
        if own:
            self._guests[0] = shim.kernel()
        self.hypervisor = XenHypervisor()

    def begin(self) -> None:
        pass

    async def create(self, domid: int) -> Kernel:
        self._guests[domid] = self._shim.guest(domid)
        return await self.attach(domid)

    async def attach(self, domid: int) -> Kernel:
        guest = self._guests[domid]
        port = guest.port

        notify = partial(guest._record, domid, port)
        page = memoryview(guest.map)
        return Kernel(domid, port, page, notify, partial(kicks, guest), lazy=False)

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


Host = EmulatedHost | ShimHost
