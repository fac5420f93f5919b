"""Copies of the state for operators, in memory: made by children, read in pieces."""

import os
from collections.abc import Callable
from functools import partial
from typing import final

import structlog

from xsd.daemon.child import Child
from xsd.engine import Engine
from xsd.engine.control_state import answer
from xsd.engine.copies import Copies
from xsd.engine.image import image
from xsd.engine.unread import OnRings, rings_record
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.stream import StreamWriter
from xsd.transport.loop import Loop

log = structlog.get_logger(__name__)


@final
class StateCopies(Copies):
    """Has a child write each into a file that has no name."""

    def __init__(
        self,
        engine: Engine,
        loop: Loop,
        wake: Callable[[], None],
        unread: Callable[[], OnRings],
    ) -> None:
        """Make it.

        Args:
            engine: What is copied.
            loop: The loop that runs.
            wake: Has the engine's answers sent.
            unread: Tells what is on rings, which a copy has, too.
        """
        self._unread = unread
        self._engine = engine
        self._loop = loop
        self._wake = wake
        self._files: dict[int, int] = {}
        self._children: dict[int, Child] = {}

    def begin(self, number: int) -> None:
        """See `Copies.begin`."""
        try:
            file = os.memfd_create("state")
        except OSError as error:
            raise _refused(error) from error
        # Pages are the guests', too: a child would see what they do later.
        work = partial(self._write, file, self._unread())
        try:
            child = Child(self._loop, work, file, partial(self._end, number))
        except OSError as error:
            os.close(file)
            raise _refused(error) from error
        self._files[number] = file
        self._children[number] = child

    def read(self, number: int, offset: int, size: int) -> bytes:
        """See `Copies.read`."""
        if number not in self._files or number in self._children:
            raise XenStoreError(Errno.ENOENT, "there is no copy yet")
        return os.pread(self._files[number], size, offset)

    def drop(self, number: int) -> None:
        """See `Copies.drop`."""
        if child := self._children.pop(number, None):
            child.kill()
        if number in self._files:
            os.close(self._files.pop(number))

    def end_children(self) -> None:
        """End who makes copies, and tell who waits for them that there are none."""
        for number in list(self._children):
            self.drop(number)
            answer(self._engine.core, number, -1)

    def close(self) -> None:
        """There are no copies any more."""
        for number in list(self._files):
            self.drop(number)

    def _write(self, file: int, unread: OnRings) -> None:
        # Whoever waits for an answer, waits for this one.
        self._engine.core.deferred.clear()
        with os.fdopen(file, "wb") as output:
            writer = StreamWriter()
            output.write(writer.preamble())
            for record in image(self._engine, {}):
                output.write(writer.record(record))
            output.write(writer.record(rings_record(unread)))
            output.write(writer.end())

    def _end(self, number: int, status: int) -> None:
        del self._children[number]
        size = os.fstat(self._files[number]).st_size
        if status:
            self.drop(number)
            size = -1
            log.error("state.not_copied", reason=f"status {status} of its process")
        else:
            log.info("state.copied", connection=number, bytes=size)
        answer(self._engine.core, number, size)
        self._wake()


def _refused(error: OSError) -> XenStoreError:
    return XenStoreError(Errno.EIO, f"no copy: {error.strerror}")
