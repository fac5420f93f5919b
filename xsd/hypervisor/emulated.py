"""A hypervisor that is pretended: domains without Xen, without root.

A domain is a page of memory (a memfd whose size is sealed) and an event channel (an
eventfd and a pipe), made for whoever asks on the control socket and handed over there.
What the guest in it does with them is its own affair: `xsd.testing` has guests.

Requests on the control socket, one JSON object a line (see `control`)::

    {"do": "create", "domid": 5}     a new domain; without domid the next free one
    {"do": "attach", "domid": 5}     its descriptors again
    {"do": "shutdown", "domid": 5}   it has stopped by itself
    {"do": "resume", "domid": 5}     it runs again; with "new_port": true it has
                                     another event channel, which INTRODUCE is to tell
    {"do": "kill", "domid": 5}       it is dying until the daemon lets its page go
    {"do": "state", "domid": 5}
    {"do": "list"}                   {"domains": [0, 5]}

All others are answered by domid, state (``running``, ``shutdown``, ``dying`` or, after
kill alone, ``gone``), unique_id and port, the event channel's end in the domain. With
the replies to create, attach and resume come three descriptors: page, eventfd that
the guest writes to (to the daemon), pipe from which the guest reads eight bytes for
each notification, as from an eventfd (from the daemon).

Domain 0 does not exist before it is created; it then is the one we run in. A domid
can be used again while its last domain is still dying, which Xen would not do: that
is how to test that a daemon tells the two apart.
"""

import errno
import mmap
import os
import select
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, Final, final

from xsd.hypervisor.base import (
    DYING,
    EVENTS_MAX,
    RUNNING,
    SHUT_DOWN,
    Channel,
    DomainState,
    Hypervisor,
    PortIn,
    ports_to_try,
)
from xsd.hypervisor.control import Answer, ControlSocket
from xsd.hypervisor.emulateddomain import Binding, EmulatedDomain, Events, new_page
from xsd.protocol.limits import DOMID_FIRST_RESERVED
from xsd.protocol.ring import PAGE_SIZE

DOMAINS_MAX: Final = 4096
"""Domains at a time; each takes four descriptors, one more when connected."""

_ARGUMENTS: Final = frozenset({"do", "domid", "new_port"})

# Edge-triggered, so that an eventfd need not be read.
_NOTIFIED: Final = select.EPOLLIN | select.EPOLLET


@final
class EmulatedHypervisor(Hypervisor):
    """Domains that exist because somebody asked for them on a control socket."""

    def __init__(
        self,
        control_path: str,
        own_domid: int = 0,
        kept: dict[str, Any] | None = None,
    ) -> None:
        """Begin to listen; there are no domains yet.

        Args:
            control_path: Of the control socket, at most 107 bytes; it gets mode 0600.
            own_domid: The domain that the daemon runs in.
            kept: What `keep` told of the process that we go on for: domains and
                control clients are its.

        Raises:
            OSError: EADDRINUSE if somebody listens there, or as the system says.
        """
        self._domains: dict[int, EmulatedDomain] = {}
        self._bindings: dict[int, Binding] = {}
        self._ports: dict[int, int] = {}
        self._own_domid = own_domid
        self._last_domid = self._last_port = self._last_unique_id = 0
        self._changed = False
        self._inherited: dict[int, list[Any]] = {}
        self._operations: dict[str, Callable[[dict[str, object]], Answer]] = {
            "create": self._create,
            "attach": self._attach,
            "shutdown": self._shutdown,
            "resume": self._resume,
            "kill": self._kill,
            "state": self._state,
            "list": self._list,
        }
        with ExitStack() as undo:
            self._epoll = undo.enter_context(select.epoll())
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            undo.callback(os.close, self._wake)
            self._epoll.register(self._wake, _NOTIFIED)
            self._control = ControlSocket(
                control_path,
                self._epoll,
                self._answer,
                None if kept is None else kept["control"],
            )
            undo.pop_all()
        if kept is not None:
            self._go_on(kept)

    # What the daemon asks for

    def fileno(self) -> int:
        """Descriptor that becomes readable when `pending` has something to do."""
        return self._epoll.fileno()

    @property
    def is_short(self) -> bool:
        """Whether control clients wait to be accepted; see `Hypervisor.is_short`."""
        return self._control.deaf

    def pending(self) -> tuple[list[int], bool]:
        """Serve control clients and tell what has happened, without waiting.

        A port is named once however often it was notified, and once more when it
        has just been bound, as with Xen. What is beyond `EVENTS_MAX` descriptors
        is left to the next call.
        """
        ports = []
        # Before, not after: what fails once more must not wake us by itself.
        self._control.listen_again()
        for descriptor, _events in self._epoll.poll(0, EVENTS_MAX):
            port = self._ports.get(descriptor)
            if port is not None:
                ports.append(port)
            else:
                self._control.on_ready(descriptor)
        changed = self._changed
        self._changed = False
        return ports, changed

    def own(self) -> Channel | None:
        """The channel of our own domain if somebody has created it, always the same."""
        domain = self._domains.get(self._own_domid)
        if domain is None:
            return None
        for binding in self._bindings.values():
            if binding.domain is domain:
                return binding.channel
        return self.connect(self._own_domid, domain.events.port)

    def connect(
        self, domid: int, remote_port: int, port_in: PortIn | None = None
    ) -> Channel:
        """Map a domain's page and bind its event channel, both once only.

        Raises:
            OSError: EINVAL if there is no such domain, if it is dying or connected,
                or if it has another port.
        """
        domain = self._domains.get(domid)
        if domain is None or domain.state == DYING or domain.mapped:
            raise _invalid(f"domain {domid} cannot be connected")
        mapping = mmap.mmap(domain.page, PAGE_SIZE)
        page = memoryview(mapping)
        try:
            events = _checked_port(domain, *ports_to_try(page, remote_port, port_in))
            port = self._bind(events)
        except OSError:
            page.release()
            mapping.close()
            raise
        domain.mapped = True
        channel = Channel(domid, port, page, events.port)
        self._bindings[port] = Binding(channel, domain, events, mapping)
        return channel

    def adopt(self, domid: int, port: int) -> Channel:
        """See `Hypervisor.adopt`.

        Raises:
            OSError: EINVAL if the other process had no such binding.
        """
        _port, whose, remote_port, descriptors = self._inherited.pop(port, [0] * 4)
        domain = self._domains.get(domid)
        if domain is None or whose != domid:
            raise _invalid(f"domain {domid} is not connected by {port}")
        events = domain.events
        if descriptors:
            # An older event channel than the domain's present one.
            events = Events(remote_port, descriptors)
        mapping = mmap.mmap(domain.page, PAGE_SIZE)
        self._listen_to(events, port)
        domain.mapped = True
        channel = Channel(domid, port, memoryview(mapping), remote_port)
        self._bindings[port] = Binding(channel, domain, events, mapping)
        return channel

    def keep(self) -> tuple[dict[str, object], list[int]]:
        """See `Hypervisor.keep`. Domains that are buried are the guests' alone."""
        control, descriptors = self._control.keep()
        domains = []
        for domain in self._domains.values():
            held = [domain.page, *domain.events.descriptors()]
            domains.append(
                [domain.domid, domain.unique_id, domain.state, domain.events.port, held]
            )
            descriptors += held
        bindings = []
        for binding in self._bindings.values():
            older = binding.events is not binding.domain.events
            held = binding.events.descriptors() if older else []
            port, remote_port = binding.channel.port, binding.events.port
            bindings.append([port, binding.domain.domid, remote_port, held])
            descriptors += held
        last = [self._last_domid, self._last_port, self._last_unique_id]
        kept: dict[str, object] = {
            "control": control,
            "domains": domains,
            "bindings": bindings,
            "last": last,
        }
        return kept, descriptors

    def let_go(self) -> None:
        """Nothing: no other daemon serves pretended domains."""

    def take_back(self) -> None:
        """Nothing, too."""

    def _go_on(self, kept: dict[str, Any]) -> None:
        self._last_domid, self._last_port, self._last_unique_id = kept["last"]
        for domid, unique_id, state, port, (page, *events) in kept["domains"]:
            domain = EmulatedDomain(domid, unique_id, page, Events(port, events))
            domain.state = state
            self._domains[domid] = domain
        self._inherited = {row[0]: row for row in kept["bindings"]}

    def rebind(self, channel: Channel, remote_port: int) -> None:
        """Give a channel another event channel, and thereby another `port`.

        Raises:
            OSError: EINVAL if the domain is dying or has another port.
        """
        binding = self._binding(channel)
        if binding.domain.state == DYING:
            raise _invalid(f"domain {channel.domid} is dying")
        events = _checked_port(binding.domain, remote_port)
        old = binding.events
        if events is old:
            self._epoll.modify(events.to_daemon, _NOTIFIED)
            return
        port = self._bind(events)
        self._unbind(old)
        old.close()
        del self._bindings[channel.port]
        self._bindings[port] = binding
        binding.events = events
        channel.port = port
        channel.remote_port = remote_port

    def disconnect(self, channel: Channel) -> None:
        """Undo `connect`; a domain that was dying is gone then.

        Raises:
            OSError: EINVAL if the channel is not connected.
            BufferError: If there are views of the page; all is undone, but the
                page stays mapped until they are gone.
        """
        binding = self._binding(channel)
        domain = binding.domain
        del self._bindings[channel.port]
        self._unbind(binding.events)
        if binding.events is not domain.events:
            binding.events.close()
        domain.mapped = False
        if domain.state == DYING:
            self._bury(domain)
            os.eventfd_write(self._wake, 1)
        channel.page.release()
        binding.mapping.close()

    def notify(self, channel: Channel) -> None:
        """Tell the domain that the page has changed.

        Raises:
            OSError: EINVAL if the channel is not connected.
        """
        self._binding(channel).events.notify()

    def state(self, domid: int) -> DomainState | None:
        """State of a domain, or None if there is no such domain."""
        domain = self._domains.get(domid)
        return None if domain is None else DomainState(domain.state, domain.unique_id)

    def domains(self) -> list[int]:
        """Ids of all domains there are, in order, those that are dying included."""
        return sorted(self._domains)

    def close(self) -> None:
        """Give everything back; guests keep what they were handed."""
        if self._epoll.closed:
            return
        for binding in list(self._bindings.values()):
            with suppress(BufferError):
                self.disconnect(binding.channel)
        for domain in self._domains.values():
            domain.close()
        self._domains.clear()
        self._control.close()
        os.close(self._wake)
        self._epoll.close()

    # Event channels

    def _binding(self, channel: Channel) -> Binding:
        binding = self._bindings.get(channel.port)
        if binding is None or binding.channel is not channel:
            raise _invalid("the channel is not connected")
        return binding

    def _bind(self, events: Events) -> int:
        """Listen to a domain's event channel; return our end's number."""
        port = self._new_port()
        self._listen_to(events, port)
        return port

    def _listen_to(self, events: Events, port: int) -> None:
        self._epoll.register(events.to_daemon, _NOTIFIED)
        self._ports[events.to_daemon] = port
        events.bound = True

    def _unbind(self, events: Events) -> None:
        self._epoll.unregister(events.to_daemon)
        del self._ports[events.to_daemon]
        events.bound = False

    def _new_port(self) -> int:
        # One row of numbers for both ends: a mix-up of the two never goes unnoticed.
        self._last_port += 1
        return self._last_port

    # What control clients ask for

    def _answer(self, request: dict[str, object]) -> Answer:
        name = request.get("do")
        operation = self._operations.get(name) if isinstance(name, str) else None
        if operation is None:
            raise OSError(errno.ENOSYS, "do is one of " + ", ".join(self._operations))
        unknown = request.keys() - _ARGUMENTS
        if unknown:
            raise _invalid(f"there is no argument {min(unknown)}")
        return operation(request)

    def _create(self, request: dict[str, object]) -> Answer:
        domid = _domid_of(request) if "domid" in request else self._free_domid()
        before = self._domains.get(domid)
        if before is not None and before.state != DYING:
            raise OSError(errno.EEXIST, f"there is a domain {domid}")
        if before is None and len(self._domains) >= DOMAINS_MAX:
            raise OSError(errno.ENOSPC, f"{DOMAINS_MAX} domains are enough")
        events = Events(self._new_port())
        try:
            page = new_page()
        except OSError:
            events.close()
            raise
        self._last_unique_id += 1
        domain = EmulatedDomain(domid, self._last_unique_id, page, events)
        self._domains[domid] = domain
        if "domid" not in request:
            self._last_domid = domid
        self._changed = True
        return domain.handover()

    def _attach(self, request: dict[str, object]) -> Answer:
        return self._living(request).handover()

    def _shutdown(self, request: dict[str, object]) -> Answer:
        domain = self._living(request)
        if domain.state == RUNNING:
            domain.state = SHUT_DOWN
            self._changed = True
        return domain.report()

    def _resume(self, request: dict[str, object]) -> Answer:
        domain = self._living(request)
        new_port = request.get("new_port", False)
        if not isinstance(new_port, bool):
            raise _invalid("new_port is true or false")
        if new_port:
            events = Events(self._new_port())
            if not domain.events.bound:
                domain.events.close()
            domain.events = events
        domain.state = RUNNING
        return domain.handover()

    def _kill(self, request: dict[str, object]) -> Answer:
        domain = self._existing(request)
        if domain.state != DYING:
            domain.state = DYING
            self._changed = True
        if domain.mapped:
            return domain.report()
        self._bury(domain)
        gone = domain.report()
        gone.fields["state"] = "gone"
        return gone

    def _state(self, request: dict[str, object]) -> Answer:
        return self._existing(request).report()

    def _list(self, request: dict[str, object]) -> Answer:
        return Answer({"domains": self.domains()})

    def _existing(self, request: dict[str, object]) -> EmulatedDomain:
        domid = _domid_of(request)
        domain = self._domains.get(domid)
        if domain is None:
            raise OSError(errno.ESRCH, f"there is no domain {domid}")
        return domain

    def _living(self, request: dict[str, object]) -> EmulatedDomain:
        domain = self._existing(request)
        if domain.state == DYING:
            raise OSError(errno.ESRCH, f"domain {domain.domid} is dying")
        return domain

    def _free_domid(self) -> int:
        """The next one after the last, as Xen counts; 0 has to be asked for."""
        domid = self._last_domid
        while True:
            domid = domid % (DOMID_FIRST_RESERVED - 1) + 1
            if domid not in self._domains:
                return domid

    def _bury(self, domain: EmulatedDomain) -> None:
        """Forget a dying domain that nobody has mapped any more."""
        domain.close()
        # Its domid may be another's by now.
        if self._domains.get(domain.domid) is domain:
            del self._domains[domain.domid]
            self._changed = True


def _checked_port(domain: EmulatedDomain, *ports: int) -> Events:
    """The domain's event channel, if one of these is its end."""
    if domain.events.port not in ports:
        raise _invalid(f"domain {domain.domid} has no unbound port {ports[-1]}")
    return domain.events


def _domid_of(request: dict[str, object]) -> int:
    domid = request.get("domid")
    # True is an int for Python.
    if type(domid) is not int or not 0 <= domid < DOMID_FIRST_RESERVED:
        raise _invalid(f"domid is a number from 0 to {DOMID_FIRST_RESERVED - 1}")
    return domid


def _invalid(reason: str) -> OSError:
    return OSError(errno.EINVAL, reason)
