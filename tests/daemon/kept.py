"""Daemons that keep their state in one directory, one after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from xsd.daemon.durability import (
    Durability,
)
from xsd.engine import Engine, Notice
from xsd.persistence.directory import Directory
from xsd.store import Store


class World:
    """A directory with a journal, and daemons that come and go one after the other."""

    def __init__(self, path: Path) -> None:
        self.loop = asyncio.get_running_loop()
        self.path = path / "journal"
        self.notices: list[Notice] = []
        self.now = 1000.0

    def open(self, checkpoint_bytes: int = 1 << 20, **more: Any) -> "Daemon":
        return Daemon(self, checkpoint_bytes, **more)

    def files(self, kind: str) -> list[int]:
        directory = Directory(self.path)
        try:
            return directory.numbers(kind)
        finally:
            directory.close()


class Daemon:
    """An engine whose state is kept."""

    def __init__(self, world: World, checkpoint_bytes: int, **more: Any) -> None:
        self.engine = Engine(Store())
        self.durability = Durability(
            world.path,
            self.engine,
            world.loop,
            world.notices.append,
            checkpoint_bytes=checkpoint_bytes,
            clock=lambda: world.now,
            **more,
        )

    def start(self, *, taken: bool = False) -> "Daemon":
        self.durability.recover(taken=taken)
        self.durability.begin({"nodes": 5})
        return self

    def die(self) -> None:
        """What a kill leaves: the files as they are, and no lock."""
        timer = self.durability._timer
        if timer is not None:
            timer.cancel()
        self.engine.tape = None
        journal = self.durability._journal
        if journal is not None:
            for segment in (journal._segment, journal._next, *journal._retired):
                if segment is not None:
                    segment.close()
        if self.durability.ledger is not None:
            self.durability.ledger.close()
            self.durability.ledger = None
        self.durability.directory.close()


def is_writing(daemon: Daemon) -> bool:
    """Tell whether it has a checkpoint written, of which it hears by itself."""
    return daemon.durability.is_writing


def in_world(
    body: Callable[[World], Awaitable[None]],
) -> Callable[[Path], None]:
    @wraps(body)
    def test(tmp_path: Path) -> None:
        async def run() -> None:
            await body(World(tmp_path))

        asyncio.run(run())

    # pytest looks at the arguments of what is wrapped.
    del test.__wrapped__
    return test


@contextmanager
def dying(daemon: Daemon) -> Iterator[Daemon]:
    try:
        yield daemon
    finally:
        daemon.die()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  a child ends
        await asyncio.sleep(0.005)


def refuse(*_: object, **__: object) -> None:
    raise OSError(28, "no room")
