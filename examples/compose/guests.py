"""Two guests, each on its ring, that greet each other through the store.

This is a host's work as well: it makes the domains and prepares their homes, as a
toolstack would.
"""

from concurrent.futures import ThreadPoolExecutor

from xsd.client import Client, Transaction, default_socket_path
from xsd.testing import Guest, PretendedHost

SOCKET = default_socket_path({})
PATIENCE_S = 60.0


def prepare(dom0: Client, domid: int, peer: int) -> None:
    """Make a domain's home: what the guest may read, and where it may write.

    What it writes there inherits the permissions, so that its peer can read it.
    """
    home = f"/local/domain/{domid}"

    def work(store: Transaction) -> None:
        store.write(f"{home}/name", f"guest-{domid}".encode())
        store.set_permissions(f"{home}/name", ["n0", f"r{domid}"])
        store.mkdir(f"{home}/data")
        store.set_permissions(f"{home}/data", [f"n{domid}", f"r{peer}"])
        store.mkdir(f"{home}/control/shutdown")
        store.set_permissions(f"{home}/control/shutdown", ["n0", f"r{domid}"])

    dom0.run_transaction(work)


def wait_for(guest: Guest, path: str) -> bytes:
    """Return the value of a node as soon as it has one."""
    guest.watch(path, path)
    while guest.next_event(PATIENCE_S):
        if guest.exists(path) and (value := guest.read(path)):
            guest.unwatch(path, path)
            return value
    raise TimeoutError(path)


def live(guest: Guest, peer: int) -> None:
    """Greet, answer, and wait to be shut down."""
    name = guest.read("name").decode()
    guest.write("data/greeting", f"hello from {name}".encode())
    greeting = wait_for(guest, f"/local/domain/{peer}/data/greeting")
    guest.write("data/answer", b"read: " + greeting)
    reason = wait_for(guest, "control/shutdown").decode()
    print(f"{name}: {reason}", flush=True)


def main() -> None:
    """Make the domains, and be their guests until they are shut down."""
    with (
        Client(SOCKET) as dom0,
        PretendedHost(SOCKET + ".hypervisor") as host,
        host.create(1) as one,
        host.create(2) as two,
    ):
        # A permission for a domain that does not exist yet would have no effect.
        for guest in (one, two):
            dom0.introduce(guest.domid, 1, guest.port)
        prepare(dom0, 1, peer=2)
        prepare(dom0, 2, peer=1)
        with ThreadPoolExecutor() as pool:
            lives = [pool.submit(live, one, 2), pool.submit(live, two, 1)]
        for life in lives:
            life.result()
        host.kill(1)
        host.kill(2)


if __name__ == "__main__":
    main()
