"""A daemon of Xen's can be run by hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NeedProgram
from tests.peers.build import library
from tests.support.daemons import CHECKOUT, answers, client_environment, environment
from tests.support.processes import wait_until


def words(*rest: str | Path) -> list[str]:
    return [sys.executable, "-m", "tests.peers.run", *map(str, rest)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["c", "ocaml"])
def test_a_daemon_runs_in_the_foreground(
    directory: Path, need_program: NeedProgram, kind: str
) -> None:
    """In a directory that is made; SIGTERM ends it."""
    lists = need_program("xenstore-list", "xenstore-utils")
    socket = directory / "new" / "socket"
    with subprocess.Popen(
        words(kind, socket.parent), cwd=CHECKOUT, env=environment(), stderr=-1
    ) as daemon:
        wait_until(lambda: answers(socket), "the daemon does not start")
        env = client_environment(socket)
        printed = subprocess.check_output([lists, "/"], env=env, text=True)
        daemon.terminate()
        daemon.communicate()

    assert "tool" in printed.split()


@pytest.mark.slow
def test_any_program_runs_where_xen_is_pretended(directory: Path) -> None:
    """It finds Xen's libraries by their names, also where none is installed."""
    name = library().name
    load = (
        "import ctypes; ctypes.CDLL('libxenevtchn.so.1');"
        "maps = open('/proc/self/maps');"
        "print({line.split('/')[-1] for line in maps if 'xen' in line})"
    )
    printed = subprocess.check_output(
        words("shim", directory, sys.executable, "-c", load),
        cwd=CHECKOUT,
        env=environment(),
        text=True,
    )

    assert printed == f"{{'{name}\\n'}}\n"
    assert (directory / "shim" / "ring-0").stat().st_size == 4096


@pytest.mark.parametrize("rest", [[], ["c"], ["shim", "somewhere"], ["qemu", "there"]])
def test_wrong_arguments_are_told_what_is_right(rest: list[str]) -> None:
    """Without making anything."""
    done = subprocess.run(
        words(*rest), cwd=CHECKOUT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "python -m tests.peers.run c DIRECTORY" in done.stderr
    assert not any(os.path.lexists(name) for name in rest)
