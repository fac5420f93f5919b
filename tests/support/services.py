"""A daemon's service in the test's own process."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec

from xsd.client import Client
from xsd.daemon.service import Service
from xsd.daemon.settings import Config

P = ParamSpec("P")


def on_loop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run a test on a loop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def body() -> None:
            await test(*args, **kwargs)

        with asyncio.Runner() as runner:
            runner.run(body())

    return run


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[Service]:
    """A service that runs."""
    service = Service(config, asyncio.get_running_loop())
    service.start()
    try:
        yield service
    finally:
        service.stop()


@on_loop
async def serve_client(config: Config, talk: Callable[[Client], None]) -> None:
    """Have a service run while a privileged client talks to it."""
    async with serving(config):
        await asyncio.to_thread(with_client, config, talk)


def with_client(config: Config, talk: Callable[[Client], None]) -> None:
    """Talk to a service as a privileged client."""
    with Client(str(config.socket), timeout=20) as dom0:
        talk(dom0)
