"""Fixtures for the tests of the command line."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

from tests.support.daemons import daemon_socket
from xsd.cli.main import main
from xsd.client import Client

__all__ = ["daemon_socket"]


class Result(NamedTuple):
    """What a command did."""

    out: bytes
    err: bytes = b""
    status: int = 0


Run = Callable[..., Result]
Follow = Callable[[str], None]


@pytest.fixture
def client(daemon_socket: Path) -> Iterator[Client]:
    """A client of the daemon, in which there is no `/t`."""
    with Client(str(daemon_socket), timeout=10.0) as connected:
        connected.rm("/t")
        yield connected
        connected.rm("/t")


@pytest.fixture
def called(
    daemon_socket: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run the program in this process, by the name that is the first word."""
    monkeypatch.setenv("XENSTORED_PATH", str(daemon_socket))

    def run(*words: str | bytes) -> Result:
        monkeypatch.setattr(sys, "argv", [os.fsdecode(word) for word in words])
        capfdbinary.readouterr()
        try:
            status = main()
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else -1
        return Result(*capfdbinary.readouterr(), status)

    return run


@pytest.fixture
def xsd(called: Run) -> Run:
    """Run `xsd` with some words, on a store with an own `/t`."""
    return partial(called, "xsd")


@pytest.fixture
def follow(xsd: Run) -> Follow:
    """Carry out the commands of a transcript and compare what comes of them.

    `$ read /t` is a command, and what it prints follows: a `%` ends it where no newline
    does, a `! ` begins lines on stderr. Then comes `? status`, unless it is 0, or 1
    after such a line.
    """

    def run(text: str) -> None:
        expected = dedent(text).strip("\n").split("\n")
        while not expected[-1].strip():
            expected.pop()
        found: list[str] = []
        for line in expected:
            if line.startswith("$ "):
                out, err, status = xsd(*shlex.split(line[2:]))
                said = out.decode() + ("" if out.endswith(b"\n") or not out else "%\n")
                found += [line, *said.split("\n")[:-1]]
                found += [f"! {complaint}" for complaint in err.decode().splitlines()]
                if status != bool(err):
                    found.append(f"? {status}")
        assert found == expected

    return run
