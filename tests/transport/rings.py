"""Rings served on a loop of their own, and guests that move on the same loop."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, final

import pytest

from tests.transport.support import Peer, Served, run
from xsd.engine import Connection
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.limits import RING_SIZE
from xsd.protocol.ops import Op
from xsd.testing import Guest, PretendedHost
from xsd.testing.ring import RSP_CONS
from xsd.transport.pretended import GuestSockets
from xsd.transport.ring import RingServer

OK: Final = b"OK\0"

Told = list[tuple[int, bytes]]
"""Type and payload of each message."""

_QUIET_TURNS: Final = 5
"""Turns of a loop without input after which nothing more is to be expected."""


def told(frames: list[Frame]) -> Told:
    """What messages say."""
    return [(frame.op, frame.payload) for frame in frames]


def event(path: bytes, token: bytes) -> tuple[int, bytes]:
    """A watch event."""
    return (Op.WATCH_EVENT, path + b"\0" + token + b"\0")


@final
class Kernel:
    """A guest's end of a ring, which moves only when the test says so.

    Attributes:
        guest: The domain.
        ring: Its page.
        fields: The numbers in it by `REQ_CONS` and so on.
    """

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.ring = guest.ring
        self.fields = guest.fields
        self._transport = guest._ring_transport
        self._decoder = FrameDecoder()
        self._frames: list[Frame] = []
        self._last = 0

    @property
    def domid(self) -> int:
        """The domain."""
        return self.guest.domid

    def frame(self, op: int, payload: bytes = b"", tx: int = 0) -> bytes:
        """Make a request with the next request id."""
        self._last += 1
        return encode_frame(op, self._last, tx, payload)

    def put(self, data: bytes) -> int:
        """Write what there is room for, notifying as it would; return how much."""
        return self._transport._write(data)

    def take(self, limit: int = RING_SIZE) -> bytes:
        """Read what is there, notifying as it would; may be nothing."""
        transport = self._transport
        before = transport.fields[RSP_CONS]
        data = transport.ring.read_responses(limit)
        if data and (not transport._lazy or transport._was_full(before)):
            transport.notify()
        return data

    def take_notification(self) -> bool:
        """Tell whether the server has notified since this was asked last."""
        try:
            return len(os.read(self._transport._to_guest, 1 << 16)) > 0
        except BlockingIOError:
            return False

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


@final
class Rings:
    """A server of rings, beside one of dom0's socket that has the same engine.

    Attributes:
        served: The other server.
        engine: What both serve.
        hypervisor: The pretended one.
        server: The server, which has been started.
        sockets: The guests' sockets; there are none unless the test wants them.
        lazy: Whether guests notify as rarely as Linux does.
    """

    def __init__(
        self, served: Served, *, lazy: bool, lenient: bool, own: bool, sockets: bool
    ) -> None:
        self.served = served
        self.engine = served.engine
        self.lazy = lazy
        self._control = str(served.directory / "control")
        self.hypervisor = EmulatedHypervisor(self._control)
        self.sockets = GuestSockets(served.reactor, self.hypervisor, served.path)
        update = self.sockets.update if sockets else _ignore
        self.server = RingServer(
            served.reactor,
            self.hypervisor,
            asyncio.get_running_loop(),
            lenient=lenient,
            on_domains=update,
        )
        served.engine.attach(self.server)
        if own:
            self.hypervisor._answer({"do": "create", "domid": 0})
        self.server.start()
        self.host = PretendedHost(self._control)
        self._guests: list[Guest] = []
        self._dom0: Peer | None = None

    async def dom0(self) -> Peer:
        """A client of dom0, always the same one."""
        if self._dom0 is None:
            self._dom0 = await self.served.connect()
        return self._dom0

    async def ask(self, op: int, *words: bytes) -> bytes:
        """Make a request of dom0 and return the reply's payload."""
        dom0 = await self.dom0()
        payload = b"".join([word + b"\0" for word in words])
        return (await dom0.request(op, payload)).payload

    async def make(self, path: bytes, *perms: bytes) -> None:
        """Make a node with these permissions."""
        assert await self.ask(Op.WRITE, path) == OK
        assert await self.ask(Op.SET_PERMS, path, *perms) == OK

    async def perms(self, path: bytes) -> bytes:
        """GET_PERMS; or the error."""
        return await self.ask(Op.GET_PERMS, path)

    async def create(self, domid: int) -> Kernel:
        """Make a domain."""
        return self._kept(await asyncio.to_thread(self._create, domid))

    def _create(self, domid: int) -> Guest:
        return self.host.create(domid, lazy=self.lazy)

    async def attach(self, domid: int) -> Kernel:
        """The present domain of that number, seen anew."""
        return self._kept(await asyncio.to_thread(self._attach, domid))

    def _attach(self, domid: int) -> Guest:
        return self.host.attach(domid, lazy=self.lazy)

    def _kept(self, guest: Guest) -> Kernel:
        self._guests.append(guest)
        return Kernel(guest)

    async def introduce(self, kernel: Kernel, port: int = 0) -> bytes:
        """INTRODUCE a domain, with its own port if no other is given."""
        number = b"%d" % (port or kernel.guest.port)
        return await self.ask(Op.INTRODUCE, b"%d" % kernel.domid, b"1", number)

    async def guest(self, domid: int) -> Kernel:
        """Make a domain and introduce it."""
        kernel = await self.create(domid)
        assert await self.introduce(kernel) == OK
        return kernel

    async def release(self, domid: int) -> bytes:
        """RELEASE a domain."""
        return await self.ask(Op.RELEASE, b"%d" % domid)

    async def is_introduced(self, domid: int) -> bool:
        """IS_DOMAIN_INTRODUCED."""
        return await self.ask(Op.IS_DOMAIN_INTRODUCED, b"%d" % domid) == b"T\0"

    async def control(self, request: Callable[[], None]) -> None:
        """Have the hypervisor do something, and the server notice it."""
        await asyncio.to_thread(request)
        await self.quiet()

    async def kill(self, domid: int) -> None:
        """Destroy a domain."""
        await self.control(lambda: self.host.kill(domid))

    async def at_once(self, *requests: bytes) -> None:
        """Have the hypervisor do several things in one turn.

        Args:
            requests: As on its control socket.
        """
        clients = []
        for _ in requests:
            client = socket.socket(socket.AF_UNIX)
            client.connect(self._control)
            clients.append(client)
        await self.quiet()
        for client, request in zip(clients, requests, strict=True):
            client.sendall(request + b"\n")
        await self.quiet()
        for client in clients:
            reply, received, _, _ = socket.recv_fds(client, 1024, 3)
            for descriptor in received:
                socket.close(descriptor)
            assert b"error" not in reply
            client.close()

    async def watcher(self, *paths: bytes) -> Peer:
        """A new client of dom0 that watches paths, each with itself as the token."""
        peer = await self.served.connect()
        for path in paths:
            await peer.send(peer.frame(Op.WATCH, path + b"\0" + path + b"\0"))
            await peer.frames(2)
        return peer

    async def events(self, peer: Peer) -> list[bytes]:
        """Paths of the events that have come to a client since it last asked."""
        await peer.send(peer.frame(Op.GET_DOMAIN_PATH, b"0\0"))
        paths: list[bytes] = []
        while True:
            (frame,) = await peer.frames(1)
            if frame.op != Op.WATCH_EVENT:
                return paths
            paths.append(frame.payload.split(b"\0")[0])

    async def quiet(self) -> None:
        """Let the server work until it has nothing more to do."""
        turns = 0
        while turns < _QUIET_TURNS:
            await asyncio.sleep(0)
            turns = 0 if self.served.is_busy else turns + 1

    def connection(self, domid: int) -> Connection:
        """The engine's end of a domain's ring."""
        return self.server.rings.links[domid].connection

    def notices(self, name: str) -> list[dict[str, object]]:
        """Fields of what the log was told of one kind."""
        return [each.fields for each in self.served.notices if each.event == name]

    def close(self) -> None:
        """Stop serving; a second time does nothing."""
        self.host.close()
        for guest in self._guests:
            guest.close()
        self._guests.clear()
        if not self.hypervisor._epoll.closed:
            self.server.close()
        self.sockets.close()


def _ignore() -> None:
    """Nobody wants to know of domains."""


Body = Callable[[Rings], Coroutine[Any, Any, None]]


def on_rings(
    *,
    manners: tuple[str, ...] = ("eager", "lazy"),
    lenient: bool = False,
    own: bool = False,
    sockets: bool = False,
) -> Callable[[Body], Callable[..., None]]:
    """Make a test of a body that is run beside a server of rings.

    Args:
        manners: Of the guests; the test is run for each.
        lenient: See `RingServer`.
        own: There is a domain 0, in which the server runs.
        sockets: Each domain has a socket, too.
    """

    def decorate(body: Body) -> Callable[..., None]:
        @pytest.mark.parametrize("manner", manners)
        def test(directory: Path, manner: str) -> None:
            async def with_rings(served: Served) -> None:
                lazy = manner == "lazy"
                rings = Rings(
                    served, lazy=lazy, lenient=lenient, own=own, sockets=sockets
                )
                try:
                    await body(rings)
                finally:
                    rings.close()

            run(directory, with_rings)

        test.__name__ = body.__name__
        test.__doc__ = body.__doc__
        test.__module__ = body.__module__
        return test

    return decorate
