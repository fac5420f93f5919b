"""A hypervisor and channels of its domains, as a test wants them."""

from typing import final

from tests.engine.script import Verb
from xsd.engine import Connection
from xsd.engine.guests import Guests
from xsd.protocol.errors import Errno, XenStoreError
from xsd.store.domains import Domain


@final
class Played(Guests):
    """Guests of a hypervisor that the test plays.

    Attributes:
        there: Unique ids of the domains there are.
        calls: What the engine asked for.
        links: The connections that it handed over, by domain.
        error: With what each channel fails, or None.
        lenient: Whether domains are introduced without a channel.
    """

    def __init__(self) -> None:
        self.there = {5: 105}
        self.calls: list[tuple[str, int, int]] = []
        self.links: dict[int, Connection] = {}
        self.error: Exception | None = None
        self.lenient = False

    def unique_id(self, domid: int) -> int | None:
        return self.there.get(domid)

    def connect(self, domain: Domain, port: int, connection: Connection) -> bool:
        self._call("connect", domain, port)
        self.links[domain.domid] = connection
        return not self.lenient

    def reconnect(self, domain: Domain, port: int) -> None:
        self._call("reconnect", domain, port)

    def disconnect(self, domain: Domain) -> None:
        self._call("disconnect", domain, 0)

    def _call(self, name: str, domain: Domain, port: int) -> None:
        if self.error is not None:
            raise self.error
        self.calls.append((name, domain.domid, port))

    def verbs(self) -> dict[str, Verb]:
        """What a script may say of it."""

        def fail(error: Exception | None) -> None:
            self.error = error

        def refusal(words: list[str]) -> Exception:
            return XenStoreError(Errno[words[0]], "no page")

        return {
            "accept": lambda *_: fail(None),
            "refuse": lambda _, __, words: fail(refusal(words)),
            "defect": lambda *_: fail(ZeroDivisionError("a defect")),
            "lenient": lambda *_: setattr(self, "lenient", True),
            "strict": lambda *_: setattr(self, "lenient", False),
            "there": lambda _, __, words: self.there.__setitem__(*map(int, words)),
            "not_there": lambda _, __, words: self.there.__delitem__(int(words[0])),
            "calls": lambda *_: " ".join(f"{a},{b},{c}" for a, b, c in self.calls),
        }


@final
class Failing(Guests):
    """Guests of whom nothing can be asked."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def unique_id(self, *_: object) -> int | None:
        raise self._error

    connect = reconnect = disconnect = unique_id  # type: ignore[assignment]
