"""Xen itself, through the libraries that come with it.

A page is memory of another domain. To look at one that was unmapped would end the
process, so a page stays mapped until no view of it is left.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import select
import weakref
from pathlib import Path
from typing import Final, Protocol, cast, final

from xsd.hypervisor import xenports
from xsd.hypervisor.base import (
    EVENTS_MAX,
    Channel,
    DomainState,
    Hypervisor,
    PortIn,
    ports_to_try,
)
from xsd.hypervisor.xendomains import MANAGE_SONAME, control_sonames, open_domains
from xsd.hypervisor.xenlibrary import HANDLE, Call, Library, load
from xsd.protocol.limits import DOMID_FIRST_RESERVED
from xsd.protocol.ring import PAGE_SIZE

_EVENT_CHANNELS_SONAME: Final = "libxenevtchn.so.1"
_GRANTS_SONAME: Final = "libxengnttab.so.1"

_BACKEND: Final = Path("/dev/xen/xenbus_backend")
_BACKEND_PORT: Final = 0x4200
"""Device and request that lead to the ring of the own kernel (Linux, dom0 only)."""

_NO_KERNEL: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO})
"""Errors that say that our kernel offers no ring."""

_RING_GRANT: Final = 1
"""Grant reference of the ring page, the same in every domain (grant_table.h)."""

_VIRQ_DOM_EXC: Final = 3
_U32: Final = ctypes.c_uint32


def available() -> bool:
    """Tell whether this is a dom0 whose XenStore can be served.

    True if Xen's libraries can be loaded and the device with the own kernel's ring
    can be opened, which takes root. Nothing stays open, and another daemon that
    serves this host already is not noticed.
    """
    try:
        for soname in (_EVENT_CHANNELS_SONAME, _GRANTS_SONAME):
            load(soname)
        os.close(os.open(_BACKEND, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    for soname in (MANAGE_SONAME, *control_sonames()):
        with contextlib.suppress(OSError):
            load(soname)
            return True
    return False


class _Mapping(Protocol):
    """A page in our memory. `close` raises BufferError while there are views."""

    def close(self) -> None: ...


@final
class _Grant:
    """A page of another domain, mapped by its grant reference.

    Attributes:
        page: The first view of it.
    """

    __slots__ = ("_address", "_memory", "_unmap", "page")

    def __init__(self, address: int, unmap: Call) -> None:
        memory = (ctypes.c_ubyte * PAGE_SIZE).from_address(address)
        self._address = address
        self._unmap = unmap
        # Views hold this object, we do not: so it shows whether there are any.
        self._memory = weakref.ref(memory)
        self.page = memoryview(memory).cast("B")

    def close(self) -> None:
        if self._memory() is not None:
            raise BufferError("cannot unmap a page of which there are views")
        self._unmap(self._address, 1)


@final
class XenHypervisor(Hypervisor):
    """The Xen that this dom0 runs on.

    A call to Xen that fails raises OSError. After `close`, every call to Xen does.
    """

    def __init__(
        self, own_domid: int = 0, kept: dict[str, object] | None = None
    ) -> None:
        """Open Xen's libraries and become the one who is told of dying domains.

        Args:
            own_domid: The domain that we run in.
            kept: What `keep` told of the process that we go on for. Of one that was
                killed, `evtchn` and `held`, which may be anything.

        Raises:
            FileNotFoundError: If a library or a device of Xen's is missing.
            FileExistsError: If another daemon serves this host's XenStore.
            OSError: If something else fails, such as without root.
        """
        self._mappings: dict[Channel, _Mapping] = {}
        # What a process had bound that was killed, by the domains' ends.
        self._held: dict[tuple[int, int], int] = {}
        # The domains' ends, by our ports as text, where the other has told them.
        self._inherited: dict[str, int] = {}
        if kept is not None and isinstance(kept.get("remote"), dict):
            self._inherited = cast("dict[str, int]", kept["remote"])
        self._own: Channel | None = None
        self._own_domid = own_domid
        with contextlib.ExitStack() as stack:
            grants = Library(_GRANTS_SONAME, "xengnttab")
            stack.callback(grants.close)
            self._map = grants.function(
                "xengnttab_map_grant_ref", _U32, _U32, ctypes.c_int, result=HANDLE
            )
            self._unmap = grants.function("xengnttab_unmap", ctypes.c_void_p, _U32)
            inherited = -1 if kept is None else int(str(kept["evtchn"]))
            events = Library(_EVENT_CHANNELS_SONAME, "xenevtchn", inherited=inherited)
            stack.callback(events.close)
            self._fd = events.function("xenevtchn_fd")
            self._bind = events.function("xenevtchn_bind_interdomain", _U32, _U32)
            self._unbind = events.function("xenevtchn_unbind", _U32)
            self._notify = events.function("xenevtchn_notify", _U32)
            self._next_event = events.function("xenevtchn_pending")
            self._unmask = events.function("xenevtchn_unmask", _U32)
            self._bind_virq = events.function("xenevtchn_bind_virq", ctypes.c_uint)
            # Of another daemon's we know no port; it has given it up for us.
            virq = None if kept is None else kept.get("virq")
            if kept is not None and "held" in kept:
                held = xenports.bound()
                self._held = held.ports
                virq = held.virqs.get(_VIRQ_DOM_EXC)
            self._virq: int = (
                virq if isinstance(virq, int) else self._bind_virq(_VIRQ_DOM_EXC)
            )
            self._domains = open_domains()
            stack.callback(self._domains.close)
            os.set_blocking(self.fileno(), False)
            self._poll = select.poll()
            self._poll.register(self.fileno(), select.POLLIN)
            self._stack = stack.pop_all()

    def fileno(self) -> int:
        """Descriptor of /dev/xen/evtchn; it is closed on exec."""
        return int(self._fd())

    def pending(self) -> tuple[list[int], bool]:
        """What has happened since the last call, without waiting.

        Each port can fire again before it is returned, so that no event is lost if
        its ring is looked at afterwards. A port that fired and was given back since
        may be among them. If more has happened than one call takes, the
        descriptor stays readable.
        """
        fired: dict[int, None] = {}
        # What was told of stays masked: no guest can keep this loop busy.
        for _ in range(EVENTS_MAX):
            # A read that finds nothing need not fail, so ask before.
            if not self._poll.poll(0):
                break
            try:
                fired[self._next_event()] = None
            except BlockingIOError:
                break
        for port in fired:
            self._unmask(port)
        changed = self._virq in fired
        return [port for port in fired if port != self._virq], changed

    def own(self) -> Channel | None:
        """The channel of our own kernel, or None where it offers none.

        The first call tells the kernel that its XenStore is there.
        """
        if self._own is not None:
            return self._own
        try:
            page, mapping, port = self._own_page()
        except OSError as error:
            if error.errno in _NO_KERNEL:
                return None
            raise
        try:
            self._own = self._bound(self._own_domid, port, page, mapping)
        except OSError:
            page.release()
            mapping.close()
            raise
        self.notify(self._own)
        return self._own

    def _own_page(self) -> tuple[memoryview, mmap.mmap, int]:
        """The page of dom0's kernel, what to close with it, and the kernel's port."""
        device = os.open(_BACKEND, os.O_RDWR | os.O_CLOEXEC)
        try:
            port = fcntl.ioctl(device, _BACKEND_PORT)
            mapping = mmap.mmap(device, PAGE_SIZE)
        finally:
            os.close(device)
        return memoryview(mapping), mapping, port

    def connect(
        self, domid: int, remote_port: int, port_in: PortIn | None = None
    ) -> Channel:
        """Map a domain's ring page and bind its event channel.

        The domain is not told: notify it once the page is as it should be.

        Args:
            domid: The domain.
            remote_port: Its end of the event channel.
            port_in: See `Hypervisor.connect`. The page is the domain's: what is found
                there may be any number of 32 bits. One that cannot be bound does
                not count.

        Returns:
            Its page has format ``B`` and can be written. It must not be used after
            `disconnect`, which therefore refuses as long as views of it are held.

        Raises:
            OSError: If there is no such domain, it has not granted its ring page, or
                has no such port for us. Nothing stays mapped or bound.
        """
        if domid >= DOMID_FIRST_RESERVED:  # some of them mean ourselves
            raise OSError(errno.EINVAL, f"{domid} is no domain")
        access = mmap.PROT_READ | mmap.PROT_WRITE
        grant = _Grant(self._map(domid, _RING_GRANT, access), self._unmap)
        ports = ports_to_try(grant.page, remote_port, port_in)
        for named in ports[:-1]:
            with contextlib.suppress(OSError):
                return self._bound(domid, named, grant.page, grant)
        try:
            return self._bound(domid, ports[-1], grant.page, grant)
        except OSError:
            grant.page.release()
            grant.close()
            raise

    def _bound(
        self, domid: int, remote_port: int, page: memoryview, mapping: _Mapping
    ) -> Channel:
        end = (domid, remote_port)
        port: int = self._held.pop(end, 0)
        # The domain may be another one by now.
        if not port or xenports.other_end(port) != end:
            port = self._bind(domid, remote_port)
        return self._kept(Channel(domid, port, page, remote_port), mapping)

    def _kept(self, channel: Channel, mapping: _Mapping) -> Channel:
        self._mappings[channel] = mapping
        return channel

    def adopt(self, domid: int, port: int) -> Channel:
        """See `Hypervisor.adopt`.

        Raises:
            OSError: If the page cannot be mapped any more.
        """
        # C does not tell.
        remote_port = self._inherited.get(str(port)) or xenports.remote_port(port)
        if domid == self._own_domid:
            page, mapping, _port = self._own_page()
            self._own = self._kept(Channel(domid, port, page, remote_port), mapping)
            return self._own
        access = mmap.PROT_READ | mmap.PROT_WRITE
        grant = _Grant(self._map(domid, _RING_GRANT, access), self._unmap)
        return self._kept(Channel(domid, port, grant.page, remote_port), grant)

    def keep(self) -> tuple[dict[str, object], list[int]]:
        """See `Hypervisor.keep`: event channels stay bound to the open device."""
        descriptor = self.fileno()
        remote = {str(each.port): each.remote_port for each in self._mappings}
        kept: dict[str, object] = {"evtchn": descriptor, "virq": self._virq}
        return {**kept, "remote": remote}, [descriptor]

    def let_go(self) -> None:
        """Be told of dying domains no longer: there is one only who is.

        Raises:
            OSError: If Xen refuses.
        """
        self._unbind(self._virq)

    def take_back(self) -> None:
        """Be told of dying domains again.

        Raises:
            OSError: If Xen refuses.
        """
        self._virq = self._bind_virq(_VIRQ_DOM_EXC)

    def rebind(self, channel: Channel, remote_port: int) -> None:
        """Give a channel another event channel.

        Raises:
            OSError: If the domain has no such port for us, which is so too of the
                port that is bound already. The channel is as it was.
        """
        port: int = self._bind(channel.domid, remote_port)
        old, channel.port = channel.port, port
        channel.remote_port = remote_port
        # The domain may have closed its end, and then nothing is lost.
        with contextlib.suppress(OSError):
            self._unbind(old)

    def disconnect(self, channel: Channel) -> None:
        """Unmap the page and unbind the event channel.

        Raises:
            BufferError: If views of the page are held, besides `channel.page`,
                which is released. Everything else is as it was.
            OSError: If the channel is not connected.
        """
        mapping = self._mappings.get(channel)
        if mapping is None:
            raise OSError(errno.ENOTCONN, f"domain {channel.domid} is not connected")
        channel.page.release()
        mapping.close()
        del self._mappings[channel]
        if channel is self._own:
            self._own = None
        self._unbind(channel.port)

    def notify(self, channel: Channel) -> None:
        """Tell the domain that the page has changed.

        It is a system call and a hypercall, hence also a full memory barrier.
        """
        self._notify(channel.port)

    def state(self, domid: int) -> DomainState | None:
        """State of a domain, or None if there is no such domain.

        It is DYING once Xen has taken everything from the domain but its id; while
        that goes on, it is what it was before. The unique id is 0 if libxenmanage
        is missing, that is, before Xen 4.21.
        """
        if domid >= DOMID_FIRST_RESERVED:
            return None
        return self._domains.state(domid)

    def domains(self) -> list[int]:
        """Ids of all domains there are, ascending, those that are dying included."""
        return self._domains.ids()

    def close(self) -> None:
        """Give everything back; a second time does nothing.

        Raises:
            BufferError: If views of a page are held. That page and the libraries
                stay open.
        """
        for channel in list(self._mappings):
            self.disconnect(channel)
        self._stack.close()
