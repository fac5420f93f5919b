"""Recoveries that were begun, so that none is begun for ever that ends the daemon."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Final, final

from xsd.persistence.directory import Directory

CRASHES: Final = 2
CRASHES_S: Final = 60.0
"""After so many recoveries in so many seconds the next one leaves the journal out."""

_NAME: Final = "attempts"


@final
class Attempts:
    """When recoveries were begun that no end of the daemon's own has followed."""

    __slots__ = ("_clock", "_directory")

    def __init__(self, directory: Directory, clock: Callable[[], float]) -> None:
        """Look into a directory.

        Args:
            directory: Where they are noted.
            clock: Seconds since 1970.
        """
        self._directory = directory
        self._clock = clock

    @property
    def are_vain(self) -> bool:
        """Whether what is recovered seems to end the daemon again and again."""
        now = self._clock()
        recent = [each for each in self._noted() if 0 <= now - each < CRASHES_S]
        return len(recent) >= CRASHES

    def note(self) -> None:
        """Another one is begun."""
        text = json.dumps([*self._noted()[-CRASHES:], self._clock()])
        # Without it only another crash is not seen to be one of several.
        with suppress(OSError):
            self._directory.write(_NAME, [text.encode()], durable=False)

    def forget(self) -> None:
        """There was nothing wrong with what was recovered.

        Raises:
            OSError: If that cannot be noted.
        """
        self._directory.remove(_NAME)

    def _noted(self) -> list[float]:
        try:
            return [float(each) for each in json.loads(self._directory.read(_NAME))]
        except (OSError, TypeError, ValueError):
            return []
