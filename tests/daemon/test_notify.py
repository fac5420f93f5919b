"""What the service manager hears."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from xsd.daemon.notify import notify


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[str, socket.socket]]:
    """A manager's socket and the value of NOTIFY_SOCKET that leads to it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0", 1))
        receiver.setblocking(False)
        yield name, receiver


def test_the_state_arrives_as_one_datagram(manager: tuple[str, socket.socket]) -> None:
    """Both kinds of addresses of sd_notify(3) are served."""
    name, receiver = manager

    assert notify("READY=1", {"NOTIFY_SOCKET": name})
    assert receiver.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_a_manager_nothing_is_sent(environ: dict[str, str]) -> None:
    """The daemon runs without systemd."""
    assert not notify("READY=1", environ)


def test_a_manager_that_is_gone_is_an_os_error(tmp_path: Path) -> None:
    """The caller logs it."""
    with pytest.raises(FileNotFoundError):
        notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})


def test_nobody_waits_for_a_manager_that_does_not_read(
    manager: tuple[str, socket.socket],
) -> None:
    """If that is not wanted: what finds no room is lost, and that is told."""
    name, receiver = manager

    def fill() -> None:
        while notify("WATCHDOG=1", {"NOTIFY_SOCKET": name}, wait=False):
            pass

    with pytest.raises(BlockingIOError):
        fill()
    assert receiver.recv(100) == b"WATCHDOG=1"
    assert notify("WATCHDOG=1", {"NOTIFY_SOCKET": name}, wait=False)
