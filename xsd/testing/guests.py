"""Guests in the domains of a pretended hypervisor.

    with PretendedHost(control_path) as host, host.create() as guest:
        dom0.introduce(guest.domid, 1, guest.port)
        guest.write("data/greeting", b"hello")

Nothing of the daemon is used here: it may run in another process, and be any that has
a control socket like that of `xsd.hypervisor.emulated`.
"""

import errno
import json
import mmap
import os
import socket
from contextlib import ExitStack
from types import TracebackType
from typing import Final, NamedTuple, Self, final

from xsd.client import Client, NotListeningError
from xsd.client.transport import RECEIVE_SIZE
from xsd.protocol.ring import PAGE_SIZE
from xsd.testing.ring import RingTransport

TIMEOUT_S: Final = 10.0
"""Seconds to wait for an answer unless told otherwise."""


class DomainReport(NamedTuple):
    """What the hypervisor says of a domain.

    Attributes:
        state: ``running``, ``shutdown`` or ``dying``.
        unique_id: No other domain has or had it.
        port: The domain's end of its event channel.
    """

    state: str
    unique_id: int
    port: int


class Handover(NamedTuple):
    """A domain as it is handed to its guest, who has to close the descriptors.

    Attributes:
        domid: The domain.
        unique_id: Tells it from others that had the same domid.
        port: Its end of the event channel, which INTRODUCE is to tell.
        page: Memory of 4,096 bytes that can be mapped.
        to_daemon: Eventfd that notifies the daemon.
        to_guest: Eventfd by which the daemon notifies.
    """

    domid: int
    unique_id: int
    port: int
    page: int
    to_daemon: int
    to_guest: int


@final
class Guest(Client):
    """A client on the ring of a domain, to be used by one thread at a time.

    Args:
        handover: The domain; its descriptors are closed with the guest.
        lazy: Notify as rarely as Linux does, see `RingTransport`.
        timeout: Seconds to wait for each answer, and for room in the ring; None
            waits for ever.

    Attributes:
        domid: The domain.
        unique_id: Tells it from others that had the same domid.
        port: Its end of the event channel, which INTRODUCE is to tell.
        ring: The page, for reading and spoiling its fields.
        fields: The same fields by number, see `xsd.testing.ring`.
    """

    __slots__ = (
        "_resources",
        "_ring_transport",
        "_timeout",
        "domid",
        "fields",
        "port",
        "ring",
        "unique_id",
    )

    def __init__(
        self,
        handover: Handover,
        *,
        lazy: bool = False,
        timeout: float | None = TIMEOUT_S,
    ) -> None:
        self.domid = handover.domid
        self.unique_id = handover.unique_id
        self.port = handover.port
        self._timeout = timeout
        with ExitStack() as resources:
            resources.callback(os.close, handover.to_daemon)
            resources.callback(os.close, handover.to_guest)
            try:
                page = mmap.mmap(handover.page, PAGE_SIZE)
            finally:
                os.close(handover.page)
            resources.callback(page.close)
            view = resources.enter_context(memoryview(page))
            transport = RingTransport(
                view, handover.to_daemon, handover.to_guest, lazy=lazy
            )
            resources.callback(transport.release)
            self._resources = resources.pop_all()
        self._ring_transport = transport
        self.ring = transport.ring
        self.fields = transport.fields
        super().__init__(transport=transport, timeout=timeout)

    def close(self) -> None:
        """Let go of the page and the event channel; the domain goes on."""
        super().close()
        self._resources.close()

    @property
    def transport(self) -> RingTransport:
        """Its end of the ring, for a `Session` in the place of this client."""
        return self._ring_transport

    def send_bytes(self, data: bytes) -> None:
        """Send bytes that need not be requests, notifying as a client would."""
        self._ring_transport.send(data, self._timeout)

    def receive_bytes(self) -> bytes:
        """Take what has come, at least one byte; also after `send_bytes` only."""
        return self._ring_transport.receive(self._timeout)

    def notify(self) -> None:
        """Tell the daemon to look at the ring, without need."""
        self._ring_transport.notify()


@final
class PretendedHost:
    """A control client of a pretended hypervisor.

    All methods raise OSError with the errno that the hypervisor answers, such as
    EEXIST or ESRCH, TimeoutError if it does not answer, and ConnectionError if it
    has gone.

    Args:
        path: Its control socket.
        timeout: Seconds to wait for each answer; None waits for ever.

    Raises:
        NotListeningError: If nobody listens there.
    """

    __slots__ = ("_socket",)

    def __init__(self, path: str, *, timeout: float | None = TIMEOUT_S) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise NotListeningError(path, reason) from None
        self._socket.settimeout(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the domains stay."""
        self._socket.close()

    def create(
        self,
        domid: int | None = None,
        *,
        lazy: bool = False,
        timeout: float | None = TIMEOUT_S,
    ) -> Guest:
        """Make a domain, with the next free domid if none is given."""
        request: dict[str, object] = {"do": "create"}
        if domid is not None:
            request["domid"] = domid
        return Guest(self._handover(request), lazy=lazy, timeout=timeout)

    def attach(
        self, domid: int, *, lazy: bool = False, timeout: float | None = TIMEOUT_S
    ) -> Guest:
        """Be the guest of a domain that exists, in the place of another `Guest`.

        Two at the same time would take each other's bytes and notifications.
        """
        handover = self._handover({"do": "attach", "domid": domid})
        return Guest(handover, lazy=lazy, timeout=timeout)

    def shutdown(self, domid: int) -> None:
        """Have a domain stop by itself, or be suspended."""
        self._ask({"do": "shutdown", "domid": domid})

    def resume(self, domid: int, *, new_port: bool = False) -> None:
        """Have a domain run again.

        Args:
            domid: The domain.
            new_port: Give it another event channel, as a domain has that was
                suspended; `attach` gets at it, INTRODUCE is to tell its port.
        """
        self._ask({"do": "resume", "domid": domid, "new_port": new_port})

    def kill(self, domid: int) -> None:
        """Destroy a domain; it stays, dying, while the daemon has its page."""
        self._ask({"do": "kill", "domid": domid})

    def domains(self) -> list[int]:
        """Return the domids of all domains, in order."""
        domids = self._ask({"do": "list"}).get("domains")
        if not isinstance(domids, list):
            raise _nonsense()
        return domids

    def state(self, domid: int) -> DomainReport | None:
        """Return what is known of a domain, or None if there is none."""
        try:
            reply = self._ask({"do": "state", "domid": domid})
        except ProcessLookupError:
            return None
        unique_id, port = _number(reply, "unique_id"), _number(reply, "port")
        return DomainReport(str(reply.get("state")), unique_id, port)

    def _ask(self, request: dict[str, object]) -> dict[str, object]:
        """Send a request that no descriptors are wanted of."""
        reply, descriptors = self._exchange(request)
        _close_all(descriptors)
        return reply

    def _handover(self, request: dict[str, object]) -> Handover:
        reply, descriptors = self._exchange(request)
        try:
            numbers = [_number(reply, name) for name in Handover._fields[:3]]
            return Handover(*numbers, *descriptors)
        except (TypeError, ConnectionError):
            _close_all(descriptors)
            raise _nonsense() from None

    def _exchange(
        self, request: dict[str, object]
    ) -> tuple[dict[str, object], list[int]]:
        descriptors: list[int] = []
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            reply = self._receive(descriptors)
        except BaseException:
            # Its answer may still come, and would be taken for the next one's.
            _close_all(descriptors)
            self._socket.close()
            raise
        if "error" in reply:
            _close_all(descriptors)
            number = getattr(errno, str(reply["error"]), errno.EIO)
            raise OSError(number, str(reply.get("reason")))
        return reply, descriptors

    def _receive(self, descriptors: list[int]) -> dict[str, object]:
        line = b""
        while not line.endswith(b"\n"):
            data, received, _flags, _address = socket.recv_fds(
                self._socket, RECEIVE_SIZE, 3, socket.MSG_CMSG_CLOEXEC
            )
            descriptors += received
            if not data:
                raise ConnectionError("the hypervisor has gone")
            line += data
        try:
            reply = json.loads(line)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise _nonsense()
        return reply


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _number(reply: dict[str, object], name: str) -> int:
    number = reply.get(name)
    if not isinstance(number, int):
        raise _nonsense()
    return number


def _nonsense() -> ConnectionError:
    return ConnectionError("the hypervisor answered nonsense")
