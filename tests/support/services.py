"""A daemon's service in the test's own process."""

import asyncio
from collections.abc import Awaitable, Callable

import uvloop

from xsd.daemon.service import Service
from xsd.daemon.settings import Config


def serve(config: Config, work: Callable[[Service], Awaitable[None]]) -> None:
    async def run() -> None:
        service = Service(config)
        service.start()
        try:
            await work(service)
        finally:
            service.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
