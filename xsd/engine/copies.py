"""Copies of the state that clients have asked for, and who makes them."""

from abc import ABC, abstractmethod
from typing import final

from mypy_extensions import mypyc_attr

from xsd.protocol.errors import Errno, XenStoreError


@mypyc_attr(allow_interpreted_subclasses=True)
class Copies(ABC):
    """Keeps a copy of the state for each connection that has asked for one."""

    __slots__ = ()

    @abstractmethod
    def begin(self, number: int) -> None:
        """Have the state as it is now copied for a connection, which has none.

        When that is done, or has failed, `control_state.answer` is called.

        Raises:
            XenStoreError: If it cannot be begun.
        """

    @abstractmethod
    def read(self, number: int, offset: int, size: int) -> bytes:
        """Some bytes of a connection's copy, fewer only at its end.

        Raises:
            XenStoreError: ENOENT if it has none.
        """

    @abstractmethod
    def drop(self, number: int) -> None:
        """A connection needs its copy no more, if it has one."""


@final
class NoCopies(Copies):
    """There is no process that could make copies."""

    __slots__ = ()

    def begin(self, number: int) -> None:
        """It never can."""
        raise XenStoreError(Errno.ENOSYS, "nobody makes copies of this state")

    def read(self, number: int, offset: int, size: int) -> bytes:
        """There is none."""
        raise XenStoreError(Errno.ENOENT, "no copy")

    def drop(self, number: int) -> None:
        """There is none."""
