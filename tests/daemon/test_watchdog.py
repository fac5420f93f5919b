"""The daemon shows its service manager that it serves, and only as long as it does."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final

import pytest

from tests.support.services import on_loop, serving
from xsd.daemon.settings import Config
from xsd.daemon.watchdog import BEATS, Watchdog, watchdog_period_s
from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.ops import Op


@pytest.mark.parametrize(
    ("environ", "period_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30 / BEATS),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "5"}, 1.5 / BEATS),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "6"}, 0),
        ({"WATCHDOG_USEC": "0"}, 0),
        ({"WATCHDOG_USEC": "-1"}, 0),
        ({"WATCHDOG_USEC": ""}, 0),
        ({}, 0),
    ],
)
def test_the_manager_says_how_often_it_wants_to_hear(
    environ: dict[str, str], period_s: float
) -> None:
    """Several times in that time; never if it is meant for another process."""
    assert watchdog_period_s(environ, 5) == period_s


@final
class Server:
    """Serves a watchdog as the test says.

    Attributes:
        replies: How often the watchdog had its reply.
        asked: Its requests that were not answered yet.
    """

    def __init__(self) -> None:
        self.replies = 0
        self.asked: list[int] = []
        self.watchdog = Watchdog(asyncio.get_running_loop(), 0.0, self._count)
        self._decoder = FrameDecoder()
        self._sock: socket.socket | None = None

    def start(self) -> None:
        self.watchdog.start(self._take)

    def listen(self) -> list[int]:
        """Receive what there is; return the requests that were not answered yet."""
        assert self._sock is not None
        for frame in self._decoder.feed(self._sock.recv(4096)):
            assert (frame.op, frame.payload) == (Op.GET_DOMAIN_PATH, b"0\0")
            self.asked.append(frame.req_id)
        return self.asked

    def reply(self, op: int = Op.GET_DOMAIN_PATH) -> None:
        """Answer the last request."""
        assert self._sock is not None
        self._sock.sendall(encode_frame(op, self.asked.pop(), 0, b"/local/domain/0\0"))

    def close(self) -> None:
        """Serve no more."""
        assert self._sock is not None
        self._sock.close()

    def _take(self, sock: socket.socket) -> None:
        self._sock = sock

    def _count(self) -> None:
        self.replies += 1


@asynccontextmanager
async def started(request_id: int = 0) -> AsyncIterator[Server]:
    """A server whose watchdog has made some requests."""
    server = Server()
    server.watchdog._request_id = request_id
    server.start()
    yield server
    server.watchdog.stop()
    server.close()


async def turns(count: int) -> None:
    """Let the loop turn; with a period of 0 each turn is one in which it may ask."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is true."""
    while not condition():  # noqa: ASYNC110  a busy loop is never late
        await asyncio.sleep(0)


@on_loop
async def test_a_request_that_is_not_answered_tells_nothing_and_is_not_repeated() -> (
    None
):
    """A daemon that is late has enough to do."""
    async with started() as server:
        await turns(20)
        assert server.listen() == [1]
        assert server.replies == 0

        server.reply()
        await until(lambda: server.replies == 1)
        await turns(20)
        assert server.listen() == [2]
        assert server.replies == 1


@on_loop
async def test_a_refusal_is_no_reply() -> None:
    """A daemon that only refuses does not serve."""
    async with started() as server:
        server.listen()
        server.reply(Op.ERROR)
        await turns(20)

        assert server.replies == 0


@on_loop
async def test_a_connection_that_the_daemon_ends_ends_the_watchdog() -> None:
    """Nothing is told any more, and nothing is left."""
    async with started() as server:
        server.listen()
        server.close()
        await turns(20)

        assert server.watchdog._sock is None
        assert server.watchdog._timer is None
        assert server.replies == 0


@on_loop
async def test_request_ids_begin_anew_before_they_have_33_bits() -> None:
    """After some thousand years."""
    async with started(2**32 - 2) as server:
        server.listen()
        server.reply()
        await until(lambda: server.replies == 1)
        await turns(20)
        assert server.listen() == [1]


@on_loop
async def test_a_service_answers_itself(tmp_path: Path) -> None:
    """Over and over; its own connection is not counted, and ends with it."""
    heard: list[str] = []
    async with serving(Config(socket=tmp_path / "s", hypervisor="emulated")) as service:
        service.watch_over(0.0, lambda: heard.append(service.status))
        await until(lambda: len(heard) == 3)

    assert set(heard) == {"connections: 0, guests: 0"}
    assert service._engine.connections == []
