"""A hypervisor that is nothing but a table, for an engine without transports."""

from typing import Final, final

from xsd.engine import Connection
from xsd.engine.guests import Guests
from xsd.protocol.errors import Errno, XenStoreError
from xsd.store.domains import Domain

REFUSALS: Final = (Errno.EINVAL, Errno.ENOENT, Errno.EIO)


@final
class Machine(Guests):
    """Domains come and go; each has another unique id.

    Attributes:
        living: The domains there are, with their unique ids.
        channels: The engine's ends of those that are connected.
        unmapped: Domains whose pages cannot be mapped, with the error of that.
        bare: Domains that can be introduced, but have no channel.
    """

    def __init__(self) -> None:
        self.living: dict[int, int] = {}
        self.channels: dict[int, Connection] = {}
        self.unmapped: dict[int, Errno] = {}
        self.bare: set[int] = set()
        self.opened: list[Connection] = []
        self._last = 100

    def create(self, domid: int) -> None:
        """Make a domain, in the place of one that is there."""
        self._last += 1
        self.living[domid] = self._last
        self.unmapped.pop(domid, None)
        self.bare.discard(domid)

    def destroy(self, domid: int) -> None:
        """End a domain; nobody is told."""
        self.living.pop(domid, None)

    def unique_id(self, domid: int) -> int | None:
        """See `Census.unique_id`."""
        return self.living.get(domid)

    def connect(self, domain: Domain, port: int, connection: Connection) -> bool:
        """See `Guests.connect`."""
        domid = domain.domid
        assert domid not in self.channels, f"dom{domid} has a channel"
        if domid not in self.living:
            raise XenStoreError(Errno.EINVAL, "there is no such domain")
        if domid in self.unmapped:
            raise XenStoreError(self.unmapped[domid], "its page cannot be mapped")
        if domid in self.bare:
            return False
        self.channels[domid] = connection
        self.opened.append(connection)
        return True

    def reconnect(self, domain: Domain, port: int) -> None:
        """See `Guests.reconnect`."""

    def disconnect(self, domain: Domain) -> None:
        """See `Guests.disconnect`."""
        self.channels.pop(domain.domid, None)
