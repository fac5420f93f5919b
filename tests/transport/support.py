"""A server on a loop of its own, and clients on the same loop."""

import asyncio
import select
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

import uvloop

from xsd.engine import Connection, Engine, Notice
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.reply import OK
from xsd.store import Store
from xsd.store.check import verify
from xsd.transport.reactor import PASSES_MS, Reactor
from xsd.transport.unix import UnixServer

PATIENCE_S: Final = 30.0
"""Most seconds of a test; no test takes a tenth of it."""

READ_MAX: Final = 1 << 20


def told(frames: list[Frame]) -> list[tuple[int, bytes]]:
    """Type and payload of each message."""
    return [(frame.op, frame.payload) for frame in frames]


def event(path: bytes, token: bytes = b"t") -> tuple[int, bytes]:
    """A watch event."""
    return (Op.WATCH_EVENT, path + b"\0" + token + b"\0")


class Asker(ABC):
    """Makes requests and reads messages, whatever carries them."""

    def __init__(self) -> None:
        self._decoder = FrameDecoder()
        self._frames: list[Frame] = []
        self._last = 0

    @abstractmethod
    async def send(self, data: bytes) -> None:
        """Send bytes; waits until all are under way."""

    @abstractmethod
    async def _receive(self) -> bytes:
        """Receive what there is; waits a little if that is nothing."""

    def frame(self, op: int, payload: bytes = b"", tx: int = 0) -> bytes:
        """Make a request with the next request id."""
        self._last += 1
        return encode_frame(op, self._last, tx, payload)

    def many(
        self, count: int, op: int = Op.GET_DOMAIN_PATH, what: bytes = b"0\0"
    ) -> bytes:
        """Make so many equal requests."""
        return b"".join([self.frame(op, what) for _ in range(count)])

    async def frames(self, count: int) -> list[Frame]:
        """Read so many messages."""
        while len(self._frames) < count:
            self._frames += self._decoder.feed(await self._receive())
        taken, self._frames = self._frames[:count], self._frames[count:]
        return taken

    async def request(self, op: int, payload: bytes = b"", tx: int = 0) -> Frame:
        """Send a request and read one message, which should be its reply."""
        await self.send(self.frame(op, payload, tx))
        (reply,) = await self.frames(1)
        assert (reply.req_id, reply.tx_id) == (self._last, tx)
        return reply

    async def ask(self, op: int, payload: bytes = b"", tx: int = 0) -> bytes:
        """Make a request and return the reply's payload."""
        return (await self.request(op, payload, tx)).payload

    async def ping(self) -> None:
        """Make a request that is answered whoever asks."""
        assert await self.ask(Op.GET_DOMAIN_PATH, b"7\0") == b"/local/domain/7\0"

    async def watch(self, path: bytes, token: bytes = b"t", *depth: bytes) -> None:
        """Watch a path; the first event is taken."""
        payload = b"\0".join([path, token, *depth, b""])
        await self.send(self.frame(Op.WATCH, payload))
        assert told(await self.frames(2)) == [(Op.WATCH, OK), event(path, token)]


@final
class Peer(Asker):
    """A client's socket. What it is sent stays in the kernel until it reads."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.connect(path)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def _receive(self) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self.sock, READ_MAX)
        assert data, f"the end after {len(self._frames)} messages"
        return data

    async def rest(self) -> list[Frame]:
        """Read all there is to the end of the connection.

        A socket that is closed with input unread resets the connection, but what
        was sent before still comes.
        """
        loop = asyncio.get_running_loop()
        with suppress(ConnectionResetError):
            while data := await loop.sock_recv(self.sock, READ_MAX):
                self._frames += self._decoder.feed(data)
        taken, self._frames = self._frames, []
        return taken

    def close(self) -> None:
        """Close the socket, whatever has not been read."""
        self.sock.close()


@final
class Served:
    """A server that serves in this process.

    Attributes:
        path: Where it listens.
        notices: What it had for the log.
        now_s: What time it is; None if it goes by.
        step_s: How much goes by with each look at a clock that is stopped.
        on_notice: Is told of each notice, too.
    """

    def __init__(self, directory: Path, control: int = 0) -> None:
        self.directory = directory
        self.path = str(directory / "socket")
        self.engine = Engine(Store(control, own_domid=0))
        self.notices: list[Notice] = []
        loop = asyncio.get_running_loop()
        self.now_s: float | None = None
        self.step_s = 0.0
        self.on_notice: Callable[[Notice], None] | None = None
        self.reactor = Reactor(self.engine, self._note, loop, clock=self._clock)
        # The clients are on the same loop: they cannot ask while it is waited.
        self.reactor.linger_ms = 0
        self.server = UnixServer(self.reactor, self.path, 0)
        self._peers: list[Peer] = []

    def _clock(self) -> float:
        if self.now_s is None:
            return time.monotonic()
        self.now_s += self.step_s
        return self.now_s

    def _note(self, notice: Notice) -> None:
        self.notices.append(notice)
        if self.on_notice is not None:
            self.on_notice(notice)

    def stop_clock(self) -> None:
        """Have no time go by but what the test says."""
        self.now_s = time.monotonic()

    def loop_after_each_pass(self) -> None:
        """Have so much time go by with each pass that the loop has its turn then."""
        self.stop_clock()
        self.step_s = PASSES_MS / 1000

    def pass_time(self, seconds: float) -> None:
        """Let so much time go by, and the server notice it."""
        assert self.now_s is not None
        self.now_s += seconds
        self.reactor.run()

    async def connect(self) -> Peer:
        """A new client that has been accepted."""
        peer = self.connect_unseen()
        await peer.ping()
        return peer

    def connect_unseen(self, path: str = "") -> Peer:
        """A new client that still waits to be accepted, of any server here."""
        peer = Peer(path or self.path)
        self._peers.append(peer)
        return peer

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the server work until something is true."""
        while not condition():  # noqa: ASYNC110  a busy loop is never late
            await asyncio.sleep(0)

    @property
    def is_busy(self) -> bool:
        """Whether there is something to do for the server at once."""
        return self.is_ready or self.reactor.busy or self.engine.busy

    @property
    def is_ready(self) -> bool:
        """Whether the server would be called by its loop."""
        return bool(select.select([self.reactor.fileno()], [], [], 0)[0])

    @property
    def connections(self) -> list[Connection]:
        """The connections that there are, the oldest first."""
        return self.engine.connections

    @property
    def last(self) -> Connection:
        """The connection of the newest client."""
        return self.connections[-1]

    def close(self) -> None:
        """Stop serving and close all clients; a second time does nothing."""
        self.server.close()
        self.reactor.close()
        for peer in self._peers:
            peer.close()
        assert self.connections == []
        assert verify(self.engine.store) == []


Body = Callable[[Served], Coroutine[Any, Any, None]]


def run(directory: Path, body: Body, control: int = 0) -> None:
    """Run the body of a test on a loop, beside a server.

    Args:
        directory: For its files.
        body: Is given the server.
        control: The control domain; the server is in domain 0.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(directory, body, control))


async def _run(directory: Path, body: Body, control: int) -> None:
    served = Served(directory, control)
    failures: list[BaseException | str] = []
    testing = asyncio.ensure_future(body(served))

    def fail(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        failures.append(context.get("exception") or context["message"])
        # What a failed callback should have done will not happen any more.
        testing.cancel()

    asyncio.get_running_loop().set_exception_handler(fail)
    served.server.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await testing
    except asyncio.CancelledError:
        if not failures:
            raise
    finally:
        served.close()
    await asyncio.sleep(0)

    for failure in failures:
        if isinstance(failure, BaseException):
            raise failure
    assert failures == []


def serving(body: Body) -> Callable[[Path], None]:
    """Make a test of a body that is run beside a server."""

    def test(directory: Path) -> None:
        run(directory, body)

    test.__name__ = body.__name__
    test.__doc__ = body.__doc__
    test.__module__ = body.__module__
    return test
