"""What the engine asks of whoever connects it with domains other than its own."""

from abc import abstractmethod
from typing import final

from xsd.store.census import Census
from xsd.store.domains import Domain


class Guests(Census):
    """The channels of introduced domains.

    A domain's channel is a connection of the engine like any other; these
    operations are what INTRODUCE and RELEASE need beside it.
    """

    @abstractmethod
    def connect(self, domain: Domain, port: int) -> None:
        """Begin to serve a domain.

        Args:
            domain: Whom; not connected yet.
            port: Its end of the event channel, as INTRODUCE was told.

        Raises:
            XenStoreError: If its page or event channel cannot be had.
        """

    @abstractmethod
    def reconnect(self, domain: Domain, port: int) -> None:
        """Begin anew with a domain that is connected: INTRODUCE of a known one.

        Its requests and replies under way are forgotten, its ring is emptied.
        """

    @abstractmethod
    def disconnect(self, domain: Domain) -> None:
        """Serve a domain no longer; does nothing if it is not connected."""


@final
class NoGuests(Guests):
    """Domains are introduced and released in a table, and have no channels."""

    def unique_id(self, domid: int) -> int | None:
        """No domain is known before it is introduced."""
        return None

    def connect(self, domain: Domain, port: int) -> None:
        """Nothing to connect."""

    def reconnect(self, domain: Domain, port: int) -> None:
        """Nothing to reconnect."""

    def disconnect(self, domain: Domain) -> None:
        """Nothing to disconnect."""
