"""A hypervisor and channels of its domains, as a test wants them."""

from typing import final

from xsd.engine import Connection
from xsd.engine.guests import Guests
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
