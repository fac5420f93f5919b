"""xsd.cli.watch: one line for each change."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.cli.conftest import Result, Run
from tests.support.daemons import client_environment
from xsd.client import Client
from xsd.protocol.errors import Errno, XenStoreError

Watcher = subprocess.Popen[bytes]


@pytest.fixture
def watcher(daemon_socket: Path, client: Client) -> Iterator[Watcher]:
    """`xsd watch /t` in a process of its own, after its first line."""
    client.mkdir("/t")
    with subprocess.Popen(
        [sys.executable, "-m", "xsd", "watch", "/t"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=client_environment(daemon_socket),
    ) as process:
        assert output(process).readline() == b"/t\n"
        yield process
        process.kill()


def output(process: Watcher) -> IO[bytes]:
    """Return what a process prints."""
    assert process.stdout is not None
    return process.stdout


def test_changes_are_printed_as_they_come(watcher: Watcher, client: Client) -> None:
    """Each line is flushed: a pipe sees it before the next."""
    client.write("/t/a/b", b"1")
    assert output(watcher).readline() == b"/t/a/b\n"

    client.rm("/t/a")
    assert output(watcher).readline() == b"/t/a\n"


def test_interrupt_ends_it_quietly(watcher: Watcher) -> None:
    """Ctrl-C is the usual way to stop: no traceback, and the shell's status."""
    watcher.send_signal(signal.SIGINT)

    out, err = watcher.communicate(timeout=10)

    assert (out, err, watcher.returncode) == (b"", b"", 130)


def test_reader_that_has_enough_ends_it_quietly(
    watcher: Watcher, client: Client
) -> None:
    """`xsd watch /t | head -1` ends with the next change, without a traceback."""
    output(watcher).close()

    client.write("/t/a", b"1")

    assert watcher.stderr is not None
    assert watcher.stderr.read() == b""
    assert watcher.wait(10) == 1


def test_depth_is_handed_on(xsd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that knows no depth refuses, which is said."""
    asked: list[object] = []

    def watch(_client: Client, path: bytes, token: bytes, depth: int | None) -> None:
        asked.append((path, token, depth))
        raise XenStoreError(Errno.EINVAL, "refused", path)

    monkeypatch.setattr(Client, "watch", watch)

    assert xsd("watch", "--depth", "1", "/t") == Result(
        b"",
        b"xsd watch: /t: the daemon refuses a watch with a depth, as old ones do\n",
        1,
    )
    assert asked == [(b"/t", b"/t", 1)]
