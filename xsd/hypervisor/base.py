"""What a xenstored needs of a hypervisor, be it Xen or a pretended one.

Nothing here knows what a XenStore is: pages, event channels and domains only.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, final

from mypy_extensions import mypyc_attr

RUNNING: Final = 0
SHUT_DOWN: Final = 1
"""The domain has stopped by itself; it may be resumed or destroyed."""

DYING: Final = 2
"""The domain is being destroyed, or gone; it never comes back."""


EVENTS_MAX: Final = 64
"""Most events that one call of `Hypervisor.pending` takes; the rest waits."""

PortIn = Callable[[memoryview], int]
"""Looks for the number of a domain's port in its page; 0 if none is there.

It must not keep a view of the page."""


@final
class DomainState:
    """What the hypervisor says of a domain.

    Attributes:
        state: RUNNING, SHUT_DOWN or DYING.
        unique_id: Tells it from another domain that had or will have the same
            domain id; 0 where the hypervisor does not say.
    """

    __slots__ = ("state", "unique_id")

    def __init__(self, state: int, unique_id: int) -> None:
        self.state = state
        self.unique_id = unique_id


@final
class Channel:
    """A domain's ring page and event channel, as long as they are held.

    Attributes:
        domid: The domain.
        port: Our end of the event channel.
        page: The 4,096 bytes that are shared with the domain.
        remote_port: The domain's end of the event channel.
    """

    __slots__ = ("domid", "page", "port", "remote_port")

    def __init__(
        self, domid: int, port: int, page: memoryview, remote_port: int
    ) -> None:
        self.domid = domid
        self.port = port
        self.page = page
        self.remote_port = remote_port


def ports_to_try(
    page: memoryview, remote_port: int, port_in: PortIn | None
) -> tuple[int, ...]:
    """Return the ports of a domain that may be the right one, the likeliest first.

    Args:
        page: The domain's, which may name one.
        remote_port: What INTRODUCE was told.
        port_in: Looks into the page, if that is wanted.
    """
    named = 0 if port_in is None else port_in(page)
    if named in {0, remote_port}:
        return (remote_port,)
    return (named, remote_port)


@mypyc_attr(allow_interpreted_subclasses=True)
class Hypervisor(ABC):
    """The operations; those that fail raise OSError."""

    __slots__ = ()

    @property
    def is_short(self) -> bool:
        """Whether something was left undone for want of descriptors or memory.

        `pending` is to be called in a while then, even if there is no event.
        """
        return False

    @abstractmethod
    def fileno(self) -> int:
        """Descriptor that becomes readable when `pending` has something to tell."""

    @abstractmethod
    def pending(self) -> tuple[list[int], bool]:
        """What has happened since the last call, without waiting.

        Returns:
            The ports that were notified, each of which may be notified again from
            now on, and whether a domain may have changed its state.
        """

    @abstractmethod
    def own(self) -> Channel | None:
        """The channel of the domain we run in, if its kernel has one with us."""

    @abstractmethod
    def connect(
        self, domid: int, remote_port: int, port_in: PortIn | None = None
    ) -> Channel:
        """Map a domain's ring page and bind its event channel.

        Args:
            domid: The domain.
            remote_port: Its end of the event channel.
            port_in: Is shown the page before anything is bound; the port that it
                finds there is bound in the place of the other, if it can be.
        """

    @abstractmethod
    def adopt(self, domid: int, port: int) -> Channel:
        """Map the page of a domain whose event channel is bound already.

        Of the process whose state we have taken over; see `keep`.

        Args:
            domid: The domain; our own kernel's is meant too.
            port: Our end of its event channel.
        """

    @abstractmethod
    def keep(self) -> tuple[dict[str, object], list[int]]:
        """What another process needs, to which ours is handed over by exec.

        Returns:
            Values for JSON that it is made of, and the descriptors in them, which it
            has under the same numbers.
        """

    @abstractmethod
    def let_go(self) -> None:
        """Give up what another daemon than ours takes for itself, to be handed over."""

    @abstractmethod
    def take_back(self) -> None:
        """Undo `let_go`; there is no other daemon."""

    @abstractmethod
    def rebind(self, channel: Channel, remote_port: int) -> None:
        """Give a channel another event channel; it keeps the old one on failure."""

    @abstractmethod
    def disconnect(self, channel: Channel) -> None:
        """Undo `connect`. Views of the page must have been released."""

    @abstractmethod
    def notify(self, channel: Channel) -> None:
        """Tell the domain that the page has changed."""

    @abstractmethod
    def state(self, domid: int) -> DomainState | None:
        """State of a domain, or None if there is no such domain."""

    @abstractmethod
    def domains(self) -> list[int]:
        """Ids of all domains there are, those that are dying included."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""
