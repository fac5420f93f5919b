"""xsd.cli.tree: our own view of a tree."""

import io
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import Follow, Run
from tests.support.daemons import client_environment
from tests.support.terminal import run_on_terminal
from xsd.cli.tree import ASCII, LINES, Drawing, tree
from xsd.client import Client
from xsd.protocol.errors import Errno, XenStoreError


@pytest.fixture
def nodes(client: Client) -> Client:
    """A client of a store with some nodes below /t."""
    client.write("/t/a/b/c", b"1")
    client.write("/t/a/d", b"two\nlines")
    client.write("/t/e", b"")
    return client


RULES: Mapping[str, str] = {
    "the node itself comes first; empty values are not shown": r"""
        $ write /t top
        $ tree /t
        /t = "top"
        ├── a
        │   ├── b
        │   │   └── c = "1"
        │   └── d = "two\nlines"
        └── e
    """,
    "ASCII can be had": r"""
        $ tree --ascii /t/a /t/e
        /t/a
        |-- b
        |   `-- c = "1"
        `-- d = "two\nlines"
        /t/e
    """,
    "permissions stand before the value, to be seen if the line is cut": """
        $ chmod /t/a/b/c n0 r5
        $ tree --ascii -p /t/a/b
        /t/a/b (n0)
        `-- c (n0,r5) = "1"
    """,
    "depth is limited, and children that are not shown are counted": """
        $ tree --ascii -d 1 /t
        /t
        |-- a [+2]
        `-- e
        $ tree -d 0 /t
        /t [+2]
    """,
    "a missing node fails with the C library's phrase": """
        $ tree /t/none
        ! xsd tree: cannot read /t/none: No such file or directory
    """,
}


@pytest.mark.parametrize("transcript", RULES.values(), ids=RULES)
@pytest.mark.usefixtures("nodes")
def test_tree_is_drawn_as_the_transcript_says(follow: Follow, transcript: str) -> None:
    """With lines that a terminal has."""
    follow(transcript)


@pytest.mark.usefixtures("nodes")
def test_ascii_is_used_where_lines_cannot_be_encoded(
    monkeypatch: pytest.MonkeyPatch, daemon_socket: Path
) -> None:
    """A terminal in the C locale gets no error."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)

    tree(["/t/a/b"], str(daemon_socket))

    output.seek(0)
    assert output.read() == '/t/a/b\n`-- c = "1"\n'


@pytest.mark.usefixtures("nodes")
def test_root_is_the_default(xsd: Run) -> None:
    """It is drawn as `/`."""
    assert xsd("tree").out.startswith(b"/\n")


def test_node_that_vanishes_meanwhile_is_left_out(nodes: Client) -> None:
    """The others are drawn."""
    drawing = Drawing(nodes, ASCII, depth=None, permissions=False)
    lines = drawing.lines(b"/t")

    first = next(lines)
    nodes.rm("/t/a")

    assert [first, *lines] == ["/t", "`-- e"]


def test_refusal_below_the_top_is_told(
    nodes: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that may not be read is not taken for a vanished one."""
    drawing = Drawing(nodes, LINES, depth=None, permissions=False)
    lines = drawing.lines(b"/t")
    next(lines)

    def refuse(_client: Client, path: bytes) -> bytes:
        raise XenStoreError(Errno.EACCES, "refused", path)

    monkeypatch.setattr(Client, "read", refuse)

    with pytest.raises(Exception, match="cannot read /t/a: Permission denied"):
        next(lines)


def test_lines_on_a_terminal_are_cut(nodes: Client, daemon_socket: Path) -> None:
    """To its width, if it tells one."""
    nodes.write("/t/e", b"0123456789")
    command = [sys.executable, "-m", "xsd", "tree", "--ascii", "/t/e"]
    environment = client_environment(daemon_socket)

    for width, line in (
        (12, b'/t/e = "0...\n'),
        (19, b'/t/e = "0123456789"\n'),
        (2, b"..\n"),
        (0, b'/t/e = "0123456789"\n'),
    ):
        assert run_on_terminal(command, width, environment) == line
