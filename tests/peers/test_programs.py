"""Xen's own daemons run here, with guests, and without Xen."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers import programs
from tests.support.daemons import Daemon, start_c_peer, start_ocaml_peer
from tests.support.worlds import ShimWorld
from xsd.protocol.ops import Op
from xsd.testing.session import strings

START = {"c": start_c_peer, "ocaml": start_ocaml_peer}


@pytest.mark.slow
@pytest.mark.parametrize("start", START.values(), ids=START)
def test_a_guest_is_served_and_its_end_is_told(
    start: Callable[[Path], Daemon],
) -> None:
    """On the ring of a domain that a toolstack has introduced."""
    with ShimWorld(start) as world:
        world.dom0.watch(b"@releaseDomain", b"gone")
        guest = world.guest(5)
        world.dom0.make(b"/local/domain/5/name", b"n0", b"r5")
        world.dom0.ok(Op.WRITE, b"/local/domain/5/name\0web")
        assert guest.get(Op.READ, b"name\0") == b"web"
        guest.watch(b"name", b"token")
        world.dom0.events()
        world.dom0.ok(Op.WRITE, b"/local/domain/5/name\0other")
        assert guest.next_event() == (b"name", b"token")

        world.destroy(5)
        assert world.dom0.next_event() == (b"@releaseDomain", b"gone")
        world.dom0.refused(Op.RELEASE, strings(b"5"))


@pytest.mark.slow
@pytest.mark.parametrize("start", START.values(), ids=START)
def test_all_that_a_daemon_leaves_is_in_its_directory(
    directory: Path, start: Callable[[Path], Daemon]
) -> None:
    """So that several can run at once, beside one of the machine's own."""
    other = directory / "other"
    other.mkdir()
    with start(directory) as one, start(other) as two:
        assert one.socket == directory / "socket"
        assert (directory / "shim" / "ports").is_file()
        assert (other / "shim" / "ports").is_file()
        two.stop(signal.SIGKILL)


@pytest.mark.parametrize("program", [programs.c_xenstored, programs.oxenstored])
def test_a_daemon_that_is_missing_skips_and_names_the_package(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: Callable[[Path], programs.Program],
) -> None:
    """And in CI it fails: else the whole comparison would be left out unseen."""
    monkeypatch.setattr(programs, "PLACE", directory / "xen-4.17" / "bin")
    monkeypatch.delenv("XSD_CI", raising=False)
    with pytest.raises(
        pytest.skip.Exception, match=r"missing: apt-get install xen-utils-4\.17"
    ):
        program(directory)

    (directory / "xen-4.20" / "bin").mkdir(parents=True)
    for name in ("xenstored", "oxenstored"):
        (directory / "xen-4.20" / "bin" / name).touch()
    with pytest.raises(
        pytest.skip.Exception, match=r"missing, not .*4\.20/bin/.* of another Xen: apt"
    ):
        program(directory)

    monkeypatch.setenv("XSD_CI", "1")
    with pytest.raises(pytest.fail.Exception, match=r"apt-get install xen-utils-4\.17"):
        program(directory)
