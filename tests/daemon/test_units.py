"""The files in systemd/, as far as they can be looked at without a systemd.

`make test-systemd` tries them under one.
"""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import NeedProgram
from tests.systemd.container import UNITS, copy_units
from xsd.daemon.activation import NAMES
from xsd.daemon.options import parse
from xsd.persistence.marks import PLACES

EXPOSURE_MAX: Final = 20
"""Tenths, as `--threshold` counts."""


def values(file: Path, key: str) -> list[str]:
    """Return what a unit says of a key, each time."""
    return re.findall(rf"^{key}=(.*)$", file.read_text(), re.MULTILINE)


@pytest.fixture(params=["", "xen", "distribution"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The service, alone or with a drop-in, and with a program that there is."""
    copy_units(tmp_path, "/bin/true")
    for file in (tmp_path / "xenstored.service.d").iterdir():
        if file.stem != request.param:
            file.unlink()
    return tmp_path / "xenstored.service"


def test_systemd_understands_the_units(unit: Path, need_program: NeedProgram) -> None:
    """It says nothing about a key that it does not know, or a wrong value."""
    analyze = need_program("systemd-analyze", "systemd")

    done = subprocess.run(
        [analyze, "verify", "--man=no", unit, unit.with_suffix(".socket")],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_may_do_little(unit: Path, need_program: NeedProgram) -> None:
    """With Xen's devices, too."""
    analyze = need_program("systemd-analyze", "systemd")
    words = ["security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager"]

    done = subprocess.run(
        [analyze, *words, unit], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout
    assert "Overall exposure level" in done.stdout


def test_the_store_of_a_xen_host_is_not_stopped_by_accident() -> None:
    """Its domains would go on without it; elsewhere a stop is as usual.

    The package leaves it alone, too.
    """
    xen = UNITS / "xenstored.service.d" / "xen.conf"

    assert values(xen, "RefuseManualStop") == ["yes"]
    assert values(UNITS / "xenstored.service", "RefuseManualStop") == []
    prerm = (UNITS.parent / "packages" / "deb" / "prerm").read_text()
    assert "show -P RefuseManualStop" in prerm


def test_the_daemon_understands_the_command_lines_of_the_units() -> None:
    """Nothing in them is ignored."""
    for file in UNITS.rglob("*"):
        if file.suffix in {".service", ".conf"}:
            for line in filter(None, values(file, "ExecStart")):
                words = line.replace("$XENSTORED_ARGS", "").split()
                assert words[0] == "/opt/xenstored/bin/xenstored"
                assert parse(words[1:]).ignored == ()


def test_there_is_room_for_all_descriptors_that_are_stored() -> None:
    """Those of clients, and the socket; and a daemon that is killed always comes back.

    Five starts within ten seconds would be the end otherwise, and of what is stored.
    """
    unit = UNITS / "xenstored.service"

    assert int(values(unit, "FileDescriptorStoreMax")[0]) > PLACES
    assert values(unit, "StartLimitIntervalSec") == ["0"]
    assert values(unit, "Restart") == ["on-failure"]


def test_the_daemon_takes_the_socket_of_the_unit() -> None:
    """By its name, with the mode that it wants, and where libxenstore looks."""
    unit = UNITS / "xenstored.socket"

    assert set(values(unit, "FileDescriptorName")) <= NAMES
    assert values(unit, "SocketMode") == ["0600"]
    assert values(unit, "ListenStream") == ["/run/xenstored/socket"]
