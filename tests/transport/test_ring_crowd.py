"""xsd.transport.ring: a crowd of guests that all run at once, each in a thread."""

import threading
from pathlib import Path

import pytest

from tests.support.daemons import start_xsd
from xsd.client import Client
from xsd.testing import Guest, PretendedHost

pytestmark = pytest.mark.slow

GUESTS = 4
ROUNDS = 150


def use(guest: Guest, done: list[int]) -> None:
    """Write, read and watch what the others write and read, for some time."""
    guest.watch("/a", "token")
    for number in range(ROUNDS):
        path = f"/a/{number * guest.domid % 7}"
        guest.write(path, b"v" * (number * 97 % 1900))
        guest.read(path)
        if number % 10 == 0:
            guest.directory("/a")
            while guest.next_event(0) is not None:
                pass
    guest.unwatch("/a", "token")
    done.append(guest.domid)


@pytest.mark.parametrize("outstanding", [1, 20])
@pytest.mark.parametrize("lazy", [True, False])
def test_no_guest_waits_for_ever(directory: Path, outstanding: int, lazy: bool) -> None:
    """Not for a notification that was never sent, nor for each other."""
    done: list[int] = []
    with (
        start_xsd(directory, "--hypervisor", "emulated") as daemon,
        Client(str(daemon.socket), timeout=20) as dom0,
        PretendedHost(f"{daemon.socket}.hypervisor") as host,
    ):
        dom0.set_quota("outstanding", outstanding)
        dom0.write("/a", b"")
        dom0.set_permissions("/a", ["b0"])
        guests = [host.create(5 + n, lazy=lazy, timeout=20) for n in range(GUESTS)]
        for guest in guests:
            dom0.introduce(guest.domid, 1, guest.port)
        threads = [threading.Thread(target=use, args=(each, done)) for each in guests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for guest in guests:
            guest.close()
        dom0.control("check")

    assert sorted(done) == [guest.domid for guest in guests]
    assert b"inconsistent" not in (directory / "log").read_bytes()
