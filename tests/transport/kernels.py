"""Hypervisors of one process with guests that move only when the test says so."""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, final

from tests.hypervisor.shim import Shim, kicks
from tests.peers.domu import DomU
from tests.transport.support import Asker
from xsd.hypervisor.control import Answer
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.hypervisor.xen import XenHypervisor
from xsd.protocol.frame import FrameDecoder
from xsd.protocol.limits import RING_SIZE
from xsd.protocol.ops import Op
from xsd.protocol.ring import REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD, Ring
from xsd.testing import Guest
from xsd.testing.guests import Handover

_FIELDS: Final = slice(2 * RING_SIZE, 2 * RING_SIZE + 32)
_MASK: Final = 0xFFFFFFFF
_NEW_PORT: Final = 300


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
    """The product's own hypervisor, and what a toolstack would do there.

    The server notices in its next turn; so it notices together what is done at once.
    """

    def __init__(self, directory: Path, *, lazy: bool, own: bool) -> None:
        self.control = str(directory / "control")
        self.hypervisor = EmulatedHypervisor(self.control)
        self._lazy = lazy
        self._guests: list[Guest] = []
        if own:
            self._do("create", 0)

    def _do(self, what: str, domid: int, **more: bool) -> Answer:
        answer = self.hypervisor._answer({"do": what, "domid": domid, **more})
        os.eventfd_write(self.hypervisor._wake, 1)
        return answer

    def create(self, domid: int) -> Kernel:
        return self._kernel(self._do("create", domid))

    def attach(self, domid: int) -> Kernel:
        """The present domain of that number, seen anew."""
        return self._kernel(self._do("attach", domid))

    def _kernel(self, answer: Answer) -> Kernel:
        numbers = [int(str(answer.fields[name])) for name in Handover._fields[:3]]
        handover = Handover(*numbers, *map(os.dup, answer.descriptors))
        guest = Guest(handover)
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

    def stop(self, domid: int) -> None:
        """Have a domain shut down by itself."""
        self._do("shutdown", domid)

    def resume(self, domid: int, *, new_port: bool = False) -> None:
        """Have it run again, perhaps with another event channel."""
        self._do("resume", domid, new_port=new_port)

    def kill(self, domid: int) -> None:
        self._do("kill", domid)

    def is_let_go(self, domid: int) -> bool:
        """Tell whether the server has let go of a dead domain's page."""
        return domid not in self.hypervisor.domains()

    def close(self) -> None:
        """Give everything back but the hypervisor."""
        for guest in self._guests:
            guest.close()
        self._guests.clear()


@final
class ShimHost:
    """The same with the code that talks to Xen, and a Xen pretended below it."""

    def __init__(self, shim: Shim, *, own: bool) -> None:
        self._shim = shim
        self._guests: dict[int, DomU] = {}
        if own:
            self._guests[0] = shim.kernel()
        self.hypervisor = XenHypervisor()

    def create(self, domid: int) -> Kernel:
        self._guests[domid] = self._shim.guest(domid)
        return self.attach(domid)

    def attach(self, domid: int) -> Kernel:
        guest = self._guests[domid]
        notify = partial(guest.notify, guest.port)
        page = memoryview(guest.map)
        return Kernel(
            domid, guest.port, page, notify, partial(kicks, guest), lazy=False
        )

    def stop(self, domid: int) -> None:
        self._guests[domid].mark("shutdown")
        self._guests[domid].virq()

    def resume(self, domid: int, *, new_port: bool = False) -> None:
        guest = self._guests[domid]
        guest.mark("shutdown", on=False)
        if new_port:
            guest.offer(_NEW_PORT)

    def kill(self, domid: int) -> None:
        self._guests[domid].mark("dying")
        self._guests[domid].virq()

    def is_let_go(self, domid: int) -> bool:
        maps = Path("/proc/self/maps").read_text("ascii")
        return maps.count(f"/ring-{domid}\n") == 1  # the guest's own

    def close(self) -> None:
        for guest in self._guests.values():
            guest.close()
        self._guests.clear()


Host = EmulatedHost | ShimHost
