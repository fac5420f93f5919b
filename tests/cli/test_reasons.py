"""xsd.cli.reasons: why something failed, and what can be done about it."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.cli.conftest import Result, Run
from tests.support.daemons import daemon_name
from xsd.cli.reasons import why, why_refused
from xsd.client import Client, NotListeningError
from xsd.protocol.errors import Errno, XenStoreError
from xsd.testing import PretendedHost

HOME: Final = " (without a / in front it is looked for in the domain's own home)"
LOG: Final = "(see the daemon's log)"
REFUSED: Final[dict[str, str]] = {
    # No such node.
    "read /t/none": "/t/none: there is no such node",
    "read /t /t/none": "/t/none: there is no such node",
    "list none": f"none: there is no such node{HOME}",
    "ls /t/none": "/t/none: there is no such node",
    "tree /t/none": "/t/none: there is no such node",
    "chmod /t/none n0": "/t/none: there is no such node, or it is another domain's",
    "rm /t/none/x": "/t/none/x: neither this node nor the one above it is there",
    # No path.
    "read /t//a": "/t//a: this is no path: empty part in path",
    "exists /t/a/": "/t/a/: this is no path: empty part in path",
    "list /t/ä": "/t/ä: this is no path: there are letters of ASCII, digits and -/_@"
    " in one",
    "mkdir @releaseDomain": "@releaseDomain: names with @ in front can be watched, and"
    " have permissions, no more",
    "watch -n1 /t//a": "/t//a: this is no path: empty part in path",
    "rm /": "/: the daemon finds no sense in the request (see its log)",
    "read ''": "an empty word is no path",
    # Too much.
    f"write /t {'x' * 4094}": "/t: too big: a request has room for 4096 bytes, path"
    " included",
    "watch -n1 /t /t": "/t: it is watched already",
}
OF_A_GUEST: Final[dict[str, str]] = {
    "read /t": f"/t: no right to read it {LOG}",
    "exists /t": f"/t: no right to read it {LOG}",
    "write /t 1": f"/t: no right to write it {LOG}",
    "list /t": f"/t: no right to list it {LOG}",
    "ls /t": f"/t: no right to read it {LOG}",
    "tree /t": f"/t: no right to read it {LOG}",
    "mkdir /t/x": f"/t/x: no right to make it {LOG}",
    "rm /t": f"/t: no right to remove it {LOG}",
    "chmod /t/r n1": "/t/r: there is no such node, or it is another domain's",
    f"write data/x {'x' * 3000}": "data/x: the domain is at its quota, or it is too big"
    f" {LOG}",
}


def said(words: str, reason: str) -> Result:
    """Return what a command does that fails for a reason."""
    return Result(b"", f"xsd {words.split(maxsplit=1)[0]}: {reason}\n".encode(), 1)


@pytest.mark.parametrize("words", REFUSED, ids=lambda words: words[:40])
def test_refusals_are_told_in_words(xsd: Run, client: Client, words: str) -> None:
    """What is wrong, and with what."""
    client.mkdir("/t")

    result = xsd(*words.replace("''", "").split(" "))

    # Events that came before a refusal are no part of it.
    assert result._replace(out=b"") == said(words, REFUSED[words])


@pytest.fixture(scope="module")
def guest_socket(daemon_socket: Path) -> Iterator[str]:
    """The socket of a domain that may do nothing, but for `data` in its home."""
    if daemon_name() != "xsd":
        pytest.skip("there are no pretended domains")
    with (
        Client(str(daemon_socket)) as dom0,
        PretendedHost(f"{daemon_socket}.hypervisor") as host,
        host.create(77) as guest,
    ):
        dom0.introduce(77, 1, guest.port)
        dom0.mkdir("/local/domain/77/data")
        dom0.set_permissions("/local/domain/77/data", ["n77"])
        yield f"{daemon_socket}.dom77"
        host.kill(77)
        dom0.rm("/local/domain/77")


@pytest.mark.parametrize("words", OF_A_GUEST, ids=lambda words: words[:40])
def test_a_right_that_is_missing_is_named(
    xsd: Run, client: Client, guest_socket: str, words: str
) -> None:
    """With where to look for which node's it is."""
    client.mkdir("/t/r")
    client.set_permissions("/t/r", ["n0", "r77"])
    assert xsd("--socket", guest_socket, *words.split()) == said(
        words, OF_A_GUEST[words]
    )


@pytest.mark.parametrize("known", Errno)
def test_each_refusal_has_words(known: Errno) -> None:
    """And no name of a constant."""
    for command in ("read", "health"):
        text = why_refused(XenStoreError(known, "refused"), b"/a", command)
        assert text.startswith("/a: ")
        assert len(text) > 12
        assert known.name not in text


def test_a_refusal_without_a_path_has_words() -> None:
    """As that of a commit."""
    error = XenStoreError(Errno.EAGAIN, "TRANSACTION_END refused")
    assert why(error, "rm") == "others kept changing the same nodes: try again"


def test_other_errors_say_what_the_system_says() -> None:
    """As of a file that cannot be read."""
    error = FileNotFoundError(2, "No such file or directory", "a")
    assert why(error, "tape") == str(error)


@pytest.mark.parametrize(
    ("number", "uid", "words"),
    [
        (
            errno.ENOENT,
            0,
            "no daemon listens at s: there is no such socket; start one (",
        ),
        (errno.ECONNREFUSED, 0, "no daemon listens at s: its daemon has ended; start "),
        (errno.EACCES, 1, "no right to connect to s: run as root"),
        (errno.EPERM, 1, "no right to connect to s: run as root"),
        (errno.EACCES, 0, "no right to connect to s, not even as root: reason"),
        (errno.EAGAIN, 0, "the daemon at s accepts no connection: is it stopped, or"),
        (errno.ENOTDIR, 0, "no daemon can listen at s: reason"),
        (0, 0, "no daemon can listen at s: reason"),
    ],
)
def test_no_connection_is_told_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch, number: int, uid: int, words: str
) -> None:
    """By the system's number."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert why(NotListeningError("s", "reason", number), "read").startswith(words)


def test_what_a_daemon_has_left_behind_is_told(xsd: Run, tmp_path: Path) -> None:
    """It was killed, and its socket has stayed."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))

    result = xsd("--socket", str(tmp_path / "s"), "read", "/t")

    assert b": its daemon has ended; start one (" in result.err
