"""Xen's own programs, run on a daemon's socket."""

import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, final

from tests.conftest import find_program
from tests.peers.programs import PACKAGE, PLACE
from tests.support.daemons import client_environment

PATIENCE_S: Final = 60.0
"""Most seconds that a program may take."""


class Ran(NamedTuple):
    """How a program ended, and what it said."""

    code: int = 0
    out: bytes = b""
    err: bytes = b""


def xen_program(name: str) -> str:
    """Return the path of a program that Debian keeps in a directory per version.

    Raises:
        Skipped: If it is missing.
        Failed: If it is missing in CI.
    """
    found = sorted(Path("/usr/lib").glob(f"xen-*/bin/{name}"))
    return find_program(str(found[-1] if found else PLACE / name), PACKAGE)


def environment(socket: str) -> Mapping[str, str]:
    """Return the environment for a program that is to talk to a daemon."""
    # Messages of the C library are part of what is compared.
    return {**client_environment(Path(socket)), "LC_ALL": "C"}


def at_once(*works: Callable[[], object]) -> None:
    """Do all of these, each in a thread of its own."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@final
class Tools:
    """Debian's xenstore-* programs on one daemon."""

    def __init__(self, socket: str) -> None:
        self.socket = socket

    def run(self, program: str, *words: str | bytes) -> Ran:
        """Run a program to its end, under its name as shells call it."""
        done = subprocess.run(
            [Path(program).name, *words],
            executable=program,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(self.socket),
            timeout=PATIENCE_S,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def __call__(self, mode: str, *words: str | bytes) -> Ran:
        """Run xenstore-read, -write, -list, ..., with some words."""
        return self.run(self.path(mode), *words)

    def control(self, *words: str | bytes) -> Ran:
        """Run xenstore-control: the real one, not Debian's wrapper, which asks Xen."""
        return self.run(xen_program("xenstore-control"), *words)

    def start(self, mode: str, *words: str) -> "subprocess.Popen[bytes]":
        """Start a program and return at once."""
        return subprocess.Popen(
            [self.path(mode), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(self.socket),
        )

    def path(self, mode: str) -> str:
        """Return the path of xenstore-read, -write, -list, ..."""
        return find_program(f"xenstore-{mode}", "xenstore-utils")
