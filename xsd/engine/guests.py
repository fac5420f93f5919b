"""What the engine asks of whoever connects it with domains other than its own."""

from abc import abstractmethod
from typing import final

from mypy_extensions import mypyc_attr

from xsd.engine.connection import Connection
from xsd.store.census import Census
from xsd.store.domains import Domain


@mypyc_attr(allow_interpreted_subclasses=True)
class Guests(Census):
    """The channels of introduced domains.

    A domain's channel is a connection of the engine like any other, which the engine
    makes; these operations are what INTRODUCE and RELEASE need beside it.
    """

    __slots__ = ()

    @abstractmethod
    def connect(self, domain: Domain, port: int, connection: Connection) -> bool:
        """Begin to serve a domain.

        Args:
            domain: Whom; it has no channel yet.
            port: Its end of the event channel, as INTRODUCE was told.
            connection: The engine's end; its link is to be set.

        Returns:
            Whether the domain has a channel; one that the hypervisor does not have
            may be introduced without.

        Raises:
            XenStoreError: If its page or event channel cannot be had.
        """

    @abstractmethod
    def reconnect(self, domain: Domain, port: int) -> None:
        """Begin anew with a domain that is connected: INTRODUCE of a known one.

        Its connection has been restarted; its ring is emptied. The daemon's own
        domain and the privileged one go on as they are, unless they are not served any
        more.
        """

    @abstractmethod
    def disconnect(self, domain: Domain) -> None:
        """Give a domain's channel back; does nothing if it has none.

        Its connection has been taken out of the engine.
        """


@final
class NoGuests(Guests):
    """Domains are introduced and released in a table, and have no channels."""

    __slots__ = ()

    def unique_id(self, domid: int) -> int | None:
        """No domain is known before it is introduced."""
        return None

    def connect(self, domain: Domain, port: int, connection: Connection) -> bool:
        """Nothing to connect."""
        return False

    def reconnect(self, domain: Domain, port: int) -> None:
        """Nothing to reconnect."""

    def disconnect(self, domain: Domain) -> None:
        """Nothing to disconnect."""
