"""Domains as a toolstack makes, connects and destroys them, with their guests."""

from contextlib import ExitStack
from typing import Final, Self, final

from tests.soak.hostile import PATIENCE_S
from tests.support.homes import home
from xsd.client import Client, Transaction
from xsd.testing import Guest, PretendedHost

FRONTEND: Final = (
    *("name", "domid", "vm", "memory/target", "memory/static-max", "control/shutdown"),
    *("control/platform-feature-multiprocessor-suspend", "cpu/0/availability"),
    *("console/ring-ref", "console/port", "console/limit", "console/type"),
    *("device/vif/0/backend", "device/vif/0/backend-id", "device/vif/0/state"),
    *("device/vif/0/handle", "device/vif/0/mac", "device/vbd/51712/backend"),
    *("device/vbd/51712/backend-id", "device/vbd/51712/state", "data", "drivers"),
    *("device/vbd/51712/virtual-device", "device/vbd/51712/device-type", "attr"),
)
BACKEND: Final = (
    *("frontend", "frontend-id", "online", "state", "script", "mac", "bridge"),
    *("handle", "type", "hotplug-status", "feature-sg", "feature-gso-tcpv4"),
    *("feature-rx-copy", "feature-split-event-channels", "multi-queue-max-queues"),
)
"""40 nodes with values; the first belong to the guest, the others to dom0."""

STATE: Final = "device/vif/0/state"
INITIALISED: Final = b"3"
CONNECTED: Final = b"4"


def backend(domid: int) -> bytes:
    return b"/local/domain/0/backend/vif/%d/0" % domid


@final
class Domain:
    def __init__(self, guest: Guest) -> None:
        self.domid = guest.domid
        self._guest = guest

    def watch(self) -> None:
        for path in (backend(self.domid) + b"/state", "control/shutdown", "memory"):
            self._guest.watch(path, "guest")

    def write_state(self, state: bytes) -> None:
        self._guest.write(STATE, state)

    def expect(self, path: str | bytes) -> bytes:
        """Wait until the guest is told of a node, and read it."""
        await_event(self._guest, path, b"guest")
        return self._guest.read(path)

    def close(self) -> None:
        self._guest.close()


@final
class Toolstack:
    """A client of dom0 and of the pretended hypervisor."""

    def __init__(self, socket: str) -> None:
        with ExitStack() as held:
            self.dom0 = held.enter_context(Client(socket, timeout=PATIENCE_S))
            control = f"{socket}.hypervisor"
            self._host = held.enter_context(PretendedHost(control, timeout=PATIENCE_S))
            self._held = held.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def create(self, domid: int, *, nodes: bool = True) -> Domain:
        guest = self._host.create(domid, lazy=True, timeout=PATIENCE_S)

        def build(transaction: Transaction) -> None:
            transaction.mkdir(home(domid))
            transaction.set_permissions(home(domid), [b"n%d" % domid])
            transaction.mkdir(backend(domid))
            transaction.set_permissions(backend(domid), [b"n0", b"r%d" % domid])
            for top, names in ((home(domid), FRONTEND), (backend(domid), BACKEND)):
                for name in names:
                    transaction.write(top + b"/" + name.encode(), b"0")

        if nodes:
            self.dom0.run_transaction(build)
            self.dom0.watch(self._state_of(domid), b"toolstack")
        self.dom0.introduce(domid, 1, guest.port)
        return Domain(guest)

    def connect(self, domain: Domain) -> None:
        """Have frontend and backend tell each other that they are ready."""
        domid = domain.domid
        for state in (INITIALISED, CONNECTED):
            domain.write_state(state)
            await_event(self.dom0, self._state_of(domid), b"toolstack", state)
            self.dom0.write(backend(domid) + b"/state", state)
            if domain.expect(backend(domid) + b"/state") != state:
                raise AssertionError(f"dom{domid} reads another state than {state!r}")

    def destroy(self, domain: Domain) -> None:
        """Ask a guest to stop, kill it and remove what it had."""
        domid = domain.domid
        self.dom0.write(home(domid) + b"/control/shutdown", b"poweroff")
        if domain.expect("control/shutdown") != b"poweroff":
            raise AssertionError(f"dom{domid} is not told to stop")
        self._host.shutdown(domid)
        self.kill(domain)
        self.dom0.unwatch(self._state_of(domid), b"toolstack")
        self.dom0.rm(b"/local/domain/0/backend/vif/%d" % domid)

    def kill(self, domain: Domain) -> None:
        self._host.kill(domain.domid)
        domain.close()

    def domains(self) -> list[int]:
        return self._host.domains()

    @staticmethod
    def _state_of(domid: int) -> bytes:
        return home(domid) + b"/" + STATE.encode()


def await_event(
    client: Client, path: str | bytes, token: bytes, value: bytes | None = None
) -> None:
    """Wait until a client is told of a node, and the node has a value."""
    wanted = path.encode() if isinstance(path, str) else path
    while True:
        event = client.next_event(PATIENCE_S)
        if event is None:
            raise TimeoutError(f"no event of {wanted!r}")
        if event == (wanted, token) and value in (None, client.read(wanted)):
            return
