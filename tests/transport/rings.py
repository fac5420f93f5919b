"""Rings served on a loop of their own, and guests that move on the same loop."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, Final, final

import pytest

from tests.hypervisor.shim import Shim, ShimProcess
from tests.transport.kernels import EmulatedHost, Host, Kernel, ShimHost
from tests.transport.support import Peer, Served, run
from xsd.engine import Connection
from xsd.protocol.ops import Op
from xsd.protocol.reply import OK
from xsd.transport.pretended import GuestSockets
from xsd.transport.ring import RingServer

EVERYWHERE: Final = ("eager", "lazy", "xen")
"""Pretended guests that notify each time, such that do it as rarely as Linux, and
such on the code that talks to Xen."""

NOTIFYING: Final = ("eager", "xen")
"""For what does not depend on how often guests notify."""

EAGER: Final = ("eager",)
"""For what has to do with the server alone."""

CONTROL: Final = 3
"""The control domain of tests that have one apart from domain 0."""

_QUIET_TURNS: Final = 5
"""Turns of a loop without input after which nothing more is to be expected."""


@final
class Rings:
    """A server of rings, beside one of dom0's socket that has the same engine.

    Attributes:
        served: The other server.
        sockets: The guests' sockets; there are none unless the test wants them.
        other: A guest, for tests to keep there.
        control: The control domain, if it is not domain 0.
    """

    def __init__(
        self,
        served: Served,
        host: Host,
        *,
        lenient: bool = False,
        sockets: bool = False,
        control: bool = False,
    ) -> None:
        self.control: Kernel
        self._kernels: list[Kernel] = []
        self.served = served
        self.engine = served.engine
        self.host = host
        self.hypervisor = host.hypervisor
        if control:
            # It is there before the server.
            self.control = self.create(CONTROL)
        self.sockets = GuestSockets(served.reactor, self.hypervisor, served.path)
        self.server = RingServer(
            served.reactor,
            self.hypervisor,
            asyncio.get_running_loop(),
            lenient=lenient,
            control_port=self.control.port if control else 0,
            on_domains=self.sockets.update if sockets else lambda: None,
        )
        served.engine.attach(self.server)
        self.server.start()
        self.other: Kernel
        self._dom0: Peer | None = None

    # dom0

    async def dom0(self) -> Peer:
        """A client of dom0, always the same one."""
        if self._dom0 is None:
            self._dom0 = await self.served.connect()
        return self._dom0

    async def ask(self, op: int, *words: bytes) -> bytes:
        """Make a request of dom0 and return the reply's payload."""
        return await (await self.dom0()).ask(op, b"\0".join([*words, b""]))

    async def make(self, path: bytes, *perms: bytes) -> None:
        """Make a node with these permissions."""
        assert await self.ask(Op.WRITE, path) == OK
        assert await self.ask(Op.SET_PERMS, path, *perms) == OK

    async def perms(self, path: bytes) -> bytes:
        """GET_PERMS; or the error."""
        return await self.ask(Op.GET_PERMS, path)

    async def introduce(self, kernel: Kernel, port: int = 0) -> bytes:
        """INTRODUCE a domain, with its own port if no other is given."""
        number = b"%d" % (port or kernel.port)
        return await self.ask(Op.INTRODUCE, b"%d" % kernel.domid, b"1", number)

    async def release(self, domid: int) -> bytes:
        """RELEASE a domain."""
        return await self.ask(Op.RELEASE, b"%d" % domid)

    async def is_introduced(self, domid: int) -> bool:
        """IS_DOMAIN_INTRODUCED."""
        return await self.ask(Op.IS_DOMAIN_INTRODUCED, b"%d" % domid) == b"T\0"

    async def watcher(self, *paths: bytes) -> Peer:
        """A new client of dom0 that watches paths, each with itself as the token."""
        peer = await self.served.connect()
        for path in paths:
            await peer.watch(path, path)
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

    # Domains

    def create(self, domid: int) -> Kernel:
        """Make a domain."""
        self._kernels.append(self.host.create(domid))
        return self._kernels[-1]

    def attach(self, domid: int) -> Kernel:
        """The present domain of that number, seen anew."""
        self._kernels.append(self.host.attach(domid))
        return self._kernels[-1]

    async def guest(self, domid: int) -> Kernel:
        """Make a domain and introduce it."""
        kernel = self.create(domid)
        assert await self.introduce(kernel) == OK
        return kernel

    def resume(self, domid: int, *, new_port: bool = False) -> Kernel:
        """Have a domain run again."""
        self.host.resume(domid, new_port=new_port)
        return self.attach(domid)

    async def stop(self, *domids: int) -> None:
        """Have domains shut down by themselves, and the server notice it at once."""
        for domid in domids:
            self.host.stop(domid)
        await self.quiet()

    async def kill(self, *domids: int) -> None:
        """The same with domains that are destroyed."""
        for domid in domids:
            self.host.kill(domid)
        await self.quiet()

    # The server

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
        """Stop serving."""
        for kernel in self._kernels:
            kernel.release()
        self.server.close()
        self.host.close()
        self.sockets.close()


Body = Callable[[Rings], Coroutine[Any, Any, None]]


def on_rings(
    manners: tuple[str, ...] = EVERYWHERE,
    *,
    lenient: bool = False,
    own: bool = False,
    sockets: bool = False,
    control: bool = False,
) -> Callable[[Body], Callable[..., None]]:
    """Make a test of a body that is run beside a server of rings.

    Args:
        manners: EVERYWHERE, NOTIFYING or EAGER; the test is run for each.
        lenient: See `RingServer`.
        own: There is a domain 0, in which the server runs.
        sockets: Each domain has a socket, too.
        control: Domain CONTROL is the control domain, and there at the start.
    """

    def decorate(body: Body) -> Callable[..., None]:
        def serve(directory: Path, make: Callable[[], Host]) -> None:
            async def with_rings(served: Served) -> None:
                more = {"lenient": lenient, "sockets": sockets, "control": control}
                rings = Rings(served, make(), **more)
                with closing(rings):
                    await body(rings)

            run(directory, with_rings, CONTROL if control else 0)

        def on_shim(shim: Shim) -> None:
            serve(shim.directory.parent, lambda: ShimHost(shim, own=own))

        @pytest.mark.parametrize("manner", manners)
        def test(directory: Path, manner: str, request: pytest.FixtureRequest) -> None:
            if manner == "xen":
                process: ShimProcess = request.getfixturevalue("on_xen")
                process.run(body.__module__, body.__name__, directory)
            else:
                lazy = manner == "lazy"
                serve(directory, lambda: EmulatedHost(directory, lazy=lazy, own=own))

        test.__name__ = body.__name__
        test.__doc__ = body.__doc__
        test.__module__ = body.__module__
        test.body = on_shim  # type: ignore[attr-defined]
        return test

    return decorate
