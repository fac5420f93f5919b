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

FAILED: Final = -2
"""Any answer: there was none for a defect of ours; EIO, when it is replayed."""

_NO_CHANNEL: Final = 0
_CHANNEL: Final = 1
_REFUSED: Final = 2
"""Answers to "connect" and "reconnect"; _REFUSED and more is a refusal: that much less
is the errno."""


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
        if self._replayed is not None:
            answer = self._again(NO_DOMAIN)
        else:
            try:
                found = self.guests.unique_id(domid)
            except Exception:
                self.answers.append(FAILED)
                raise
            answer = NO_DOMAIN if found is None else found
            self.answers.append(answer)
        return None if answer == NO_DOMAIN else answer

    def connect(self, domain: Domain, port: int, connection: Connection) -> bool:
        """See `Guests.connect`."""
        if self._replayed is not None:
            return self._again(_NO_CHANNEL) == _CHANNEL
        try:
            has_channel = self.guests.connect(domain, port, connection)
        except Exception as error:
            self._note_failure(error)
            raise
        self.answers.append(_CHANNEL if has_channel else _NO_CHANNEL)
        return has_channel

    def reconnect(self, domain: Domain, port: int) -> None:
        """See `Guests.reconnect`."""
        if self._replayed is not None:
            self._again(_CHANNEL)
            return
        try:
            self.guests.reconnect(domain, port)
        except Exception as error:
            self._note_failure(error)
            raise
        self.answers.append(_CHANNEL)

    def disconnect(self, domain: Domain) -> None:
        """See `Guests.disconnect`."""
        if self._replayed is None:
            self.guests.disconnect(domain)

    def _note_failure(self, error: Exception) -> None:
        """Keep how a channel could not be had."""
        if isinstance(error, XenStoreError):
            self.answers.append(_REFUSED + int(error.errno))
        else:
            self.answers.append(FAILED)

    def _again(self, default: int) -> int:
        """The next answer of the input that is replayed.

        Raises:
            XenStoreError: If that was a refusal or a defect.
        """
        answer = self._replayed.popleft() if self._replayed else default
        self.answers.append(answer)
        if answer == FAILED:
            raise XenStoreError(Errno.EIO, "it failed before")
        if default != NO_DOMAIN and answer >= _REFUSED:
            raise XenStoreError(Errno(answer - _REFUSED), "it was refused before")
        return answer
