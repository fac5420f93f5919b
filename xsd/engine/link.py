"""What the engine tells whoever moves the bytes of a connection."""

from abc import ABC, abstractmethod

from mypy_extensions import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Link(ABC):
    """A transport's end of one connection."""

    __slots__ = ()

    @abstractmethod
    def update(self) -> None:
        """Do what the connection's state asks for, after a turn.

        Send what is in its outbox as far as the other side takes it, and report that
        by `Engine.sent`; close it if it is lost, or if it is closing and everything
        is sent; read again if it was paused and wants input.
        """
