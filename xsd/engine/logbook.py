"""What the engine asks of whoever keeps the log: files are not its business."""

from abc import ABC, abstractmethod
from typing import final

from mypy_extensions import mypyc_attr

from xsd.protocol.errors import Errno, XenStoreError


@mypyc_attr(allow_interpreted_subclasses=True)
class Logbook(ABC):
    """The log, as far as operators change it while the daemon runs."""

    __slots__ = ()

    @property
    @abstractmethod
    def is_file(self) -> bool:
        """Whether the log goes to a file, and not to a stream or to syslog."""

    @property
    def tells_all(self) -> bool:
        """Whether lines of the level debug are written."""
        return False

    @abstractmethod
    def redirect(self, name: bytes) -> None:
        """Send the log to another file from now on.

        Args:
            name: The file, as an operator names it; it is appended to.

        Raises:
            XenStoreError: If the file cannot be opened; the log stays where it is.
        """

    @abstractmethod
    def append(self, name: bytes, text: str) -> None:
        """Add text to a file of an operator's.

        Raises:
            XenStoreError: EINVAL if the file cannot be opened, another errno if it
                does not take the text; a part of it may be there then.
        """

    @abstractmethod
    def process_bytes(self) -> dict[str, int]:
        """What the process occupies, in bytes, by the name of the figure."""


@final
class NoLogbook(Logbook):
    """Nobody keeps a log in files."""

    @property
    def is_file(self) -> bool:
        """It goes nowhere that the engine knows of."""
        return False

    def redirect(self, name: bytes) -> None:
        """Refuse."""
        raise XenStoreError(Errno.EINVAL, "there is no log", name)

    def append(self, name: bytes, text: str) -> None:
        """Refuse."""
        raise XenStoreError(Errno.EINVAL, "there is nobody who writes files", name)

    def process_bytes(self) -> dict[str, int]:
        """Nothing is known."""
        return {}
