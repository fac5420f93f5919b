"""xsd.cli.tree: our own view of a tree."""

import io
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Result, Run
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


def test_tree_is_drawn_with_lines(xsd: Run, nodes: Client) -> None:
    """The node itself first; empty values are not shown."""
    nodes.write("/t", b"top")

    assert xsd("tree", "/t").out.decode() == (
        '/t = "top"\n'
        "├── a\n"
        "│   ├── b\n"
        '│   │   └── c = "1"\n'
        '│   └── d = "two\\nlines"\n'
        "└── e\n"
    )


@pytest.mark.usefixtures("nodes")
def test_tree_can_be_drawn_in_ascii(xsd: Run) -> None:
    """For those who asked for it."""
    assert xsd("tree", "--ascii", "/t/a", "/t/e") == Result(
        b'/t/a\n|-- b\n|   `-- c = "1"\n`-- d = "two\\nlines"\n/t/e\n'
    )


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


def test_permissions_stand_before_the_value(xsd: Run, nodes: Client) -> None:
    """So that they are seen if the line is cut."""
    nodes.set_permissions("/t/a/b/c", ["n0", "r5"])

    assert xsd("tree", "--ascii", "-p", "/t/a/b") == Result(
        b'/t/a/b (n0)\n`-- c (n0,r5) = "1"\n'
    )


@pytest.mark.usefixtures("nodes")
def test_depth_is_limited_and_what_is_hidden_counted(xsd: Run) -> None:
    """`[+1]` stands for one child that is not shown."""
    assert xsd("tree", "--ascii", "-d", "1", "/t") == Result(b"/t\n|-- a [+2]\n`-- e\n")
    assert xsd("tree", "-d", "0", "/t") == Result(b"/t [+2]\n")


@pytest.mark.usefixtures("nodes")
def test_root_is_the_default(xsd: Run) -> None:
    """It is drawn as `/`."""
    assert xsd("tree").out.startswith(b"/\n")


@pytest.mark.usefixtures("nodes")
def test_missing_node_fails(xsd: Run) -> None:
    """With the C library's phrase."""
    assert xsd("tree", "/t/none") == Result(
        b"", b"xsd tree: cannot read /t/none: No such file or directory\n", 1
    )


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

    assert run_on_terminal(command, 12, environment) == b'/t/e = "0...\n'
    assert run_on_terminal(command, 19, environment) == b'/t/e = "0123456789"\n'
    assert run_on_terminal(command, 2, environment) == b"..\n"
    assert run_on_terminal(command, 0, environment) == b'/t/e = "0123456789"\n'
