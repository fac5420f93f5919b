"""The world, as far as an input depends on it: asked once, remembered, and replayed.

Which domains there are, and whether one can be connected, is not the engine's to
decide. It asks here in the middle of an input; the answers become part of the input,
and a replay is given them in the place of the world's.
"""

from collections import deque
from typing import Final, final

from xsd.engine.connection import Connection
from xsd.engine.guests import Guests
from xsd.protocol.errors import Errno, XenStoreError
from xsd.store.domains import Domain

NO_DOMAIN: Final = -1
"""Answer to "which unique id": there is no such domain."""

_NO_CHANNEL: Final = 0
_CHANNEL: Final = 1
_REFUSED: Final = 2
"""Answers to "connect"; _REFUSED and more is a refusal: that much less is the errno."""


@final
class Outside(Guests):
    """Asks the guests' transport, and remembers what it said.

    Attributes:
        guests: Whom to ask.
        answers: What was answered since `take`.
    """

    __slots__ = ("_replayed", "answers", "guests")

    def __init__(self, guests: Guests) -> None:
        self.guests = guests
        self.answers: list[int] = []
        self._replayed: deque[int] | None = None

    def take(self) -> tuple[int, ...]:
        """The answers since the last call, for the input that they belong to."""
        if not self.answers:
            return ()
        answers = tuple(self.answers)
        self.answers.clear()
        return answers

    def replay(self, answers: tuple[int, ...]) -> None:
        """Give these answers from now on, and touch nothing outside."""
        self._replayed = deque(answers)

    def end_replay(self) -> int:
        """Ask the world again; how many answers nobody has asked for."""
        left = 0 if self._replayed is None else len(self._replayed)
        self._replayed = None
        self.answers.clear()
        return left

    def unique_id(self, domid: int) -> int | None:
        """See `Census.unique_id`."""
        if self._replayed is None:
            found = self.guests.unique_id(domid)
            answer = NO_DOMAIN if found is None else found
        else:
            answer = self._replayed.popleft() if self._replayed else NO_DOMAIN
        self.answers.append(answer)
        return None if answer == NO_DOMAIN else answer

    def connect(self, domain: Domain, port: int, connection: Connection) -> bool:
        """See `Guests.connect`."""
        if self._replayed is None:
            try:
                has_channel = self.guests.connect(domain, port, connection)
            except XenStoreError as error:
                self.answers.append(_REFUSED + int(error.errno))
                raise
            answer = _CHANNEL if has_channel else _NO_CHANNEL
        else:
            answer = self._replayed.popleft() if self._replayed else _NO_CHANNEL
        self.answers.append(answer)
        if answer >= _REFUSED:
            raise XenStoreError(Errno(answer - _REFUSED), "it was refused before")
        return answer == _CHANNEL

    def reconnect(self, domain: Domain, port: int) -> None:
        """See `Guests.reconnect`."""
        if self._replayed is None:
            self.guests.reconnect(domain, port)

    def disconnect(self, domain: Domain) -> None:
        """See `Guests.disconnect`."""
        if self._replayed is None:
            self.guests.disconnect(domain)
