"""The store's clock: generations, and how often its state has changed at all."""

from typing import final


@final
class Clock:
    """Hands out generations: 1, 2, 3, ... Every change of a node has its own.

    Tokens of trees are drawn from it too, so that none is ever used twice.

    Attributes:
        now: The latest generation.
        beats: Changes of state that take no generation: of accounts, settings,
            domains, watches, and of what is kept for transactions.
    """

    __slots__ = ("beats", "now")

    def __init__(self) -> None:
        self.now = 0
        self.beats = 0

    @property
    def pulse(self) -> int:
        """Grows whenever the state of the store changes."""
        return self.now + self.beats

    def tick(self) -> int:
        """The next generation."""
        self.now += 1
        return self.now

    def beat(self) -> None:
        """Something has changed that has no generation."""
        self.beats += 1
