"""What the service manager hears."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.conftest import Manager
from xsd.daemon.notify import notify


@pytest.fixture(params=["{}/notify", "@{}"], ids=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    """A manager at an address of either kind of sd_notify(3)."""
    found = Manager(request.param.format(tmp_path))
    yield found
    found.close()


def test_the_state_arrives_as_one_datagram(manager: Manager) -> None:
    """At both kinds of addresses."""
    assert notify("READY=1", {"NOTIFY_SOCKET": manager.address})
    assert manager.hear() == "READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_a_manager_nothing_is_sent(environ: dict[str, str]) -> None:
    """The daemon runs without systemd."""
    assert not notify("READY=1", environ)


def test_a_manager_that_is_gone_is_an_os_error(tmp_path: Path) -> None:
    """The caller logs it."""
    with pytest.raises(FileNotFoundError):
        notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})


def test_nobody_waits_for_a_manager_that_does_not_read(manager: Manager) -> None:
    """If that is not wanted: what finds no room is lost, and that is told."""
    environ = {"NOTIFY_SOCKET": manager.address}

    def fill() -> None:
        while notify("WATCHDOG=1", environ, wait=False):
            pass

    with pytest.raises(BlockingIOError):
        fill()
    assert manager.hear() == "WATCHDOG=1"
    assert notify("WATCHDOG=1", environ, wait=False)
