"""What a pretended domain consists of: memory, event channels, and who holds them."""

import fcntl
import mmap
import os
import sys
from contextlib import suppress
from typing import Final, final

from xsd.hypervisor.base import DYING, RUNNING, SHUT_DOWN, Channel
from xsd.hypervisor.control import Answer
from xsd.protocol.ring import PAGE_SIZE

_STATE_NAMES: Final = {RUNNING: "running", SHUT_DOWN: "shutdown", DYING: "dying"}
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_NOTIFICATION: Final = (1).to_bytes(8, sys.byteorder)


@final
class Events:
    """An event channel.

    Attributes:
        port: Its end in the domain.
        to_daemon: Eventfd that the guest writes to.
        to_guest: What the guest reads: eight bytes if it was notified.
        bound: Whether the daemon has bound it.
    """

    # The guest has the same open files as we have, with flags that it may change. So
    # we neither read nor write any of them, or it could make us wait: the daemon's
    # end of the pipe is nobody else's.
    __slots__ = ("_notify", "bound", "port", "to_daemon", "to_guest")

    def __init__(self, port: int, kept: list[int] | None = None) -> None:
        """Make one, or go on with what `descriptors` told of another process's."""
        self.port = port
        self.bound = False
        if kept is not None:
            self.to_daemon, self.to_guest, self._notify = kept
            return
        flags = os.EFD_NONBLOCK | os.EFD_CLOEXEC
        # Never zero, so that epoll names it as soon as it is registered.
        self.to_daemon = os.eventfd(1, flags)
        try:
            self.to_guest, self._notify = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            os.close(self.to_daemon)
            raise

    def descriptors(self) -> list[int]:
        """All three."""
        return [self.to_daemon, self.to_guest, self._notify]

    def notify(self) -> None:
        """Let the guest read something; a full pipe tells it as well."""
        with suppress(BlockingIOError):
            os.write(self._notify, _NOTIFICATION)

    def close(self) -> None:
        """Close our descriptors; the guest keeps its own."""
        os.close(self.to_daemon)
        os.close(self.to_guest)
        os.close(self._notify)


@final
class EmulatedDomain:
    """A domain from its creation until it is killed and its page let go.

    Attributes:
        page: The memfd.
        events: Its present event channel; the daemon may still have an older one.
        mapped: Whether the daemon has mapped the page.
    """

    __slots__ = ("domid", "events", "mapped", "page", "state", "unique_id")

    def __init__(self, domid: int, unique_id: int, page: int, events: Events) -> None:
        self.domid = domid
        self.unique_id = unique_id
        self.page = page
        self.events = events
        self.state = RUNNING
        self.mapped = False

    def report(self) -> Answer:
        """What a control client is told of it."""
        return Answer(
            {
                "domid": self.domid,
                "state": _STATE_NAMES[self.state],
                "unique_id": self.unique_id,
                "port": self.events.port,
            }
        )

    def handover(self) -> Answer:
        """The same with the descriptors."""
        events = self.events
        descriptors = (self.page, events.to_daemon, events.to_guest)
        return self.report()._replace(descriptors=descriptors)

    def close(self) -> None:
        """Close our descriptors; the guest keeps its own."""
        os.close(self.page)
        self.events.close()


@final
class Binding:
    """What is behind a `Channel`."""

    __slots__ = ("channel", "domain", "events", "mapping")

    def __init__(
        self,
        channel: Channel,
        domain: EmulatedDomain,
        events: Events,
        mapping: mmap.mmap,
    ) -> None:
        self.channel = channel
        self.domain = domain
        self.events = events
        self.mapping = mapping


def new_page() -> int:
    """Make the memory of a ring; its descriptor."""
    page = os.memfd_create("xenstore-ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(page, PAGE_SIZE)
        # A guest that could cut it short would kill us by SIGBUS.
        fcntl.fcntl(page, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(page)
        raise
    return page
