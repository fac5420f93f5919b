"""xsd.cli.tree: our own view of a tree."""

import io
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import Follow, Result, Run
from tests.support.acted import ActedDaemon
from tests.support.daemons import client_environment
from tests.support.terminal import run_on_terminal
from xsd.cli.tree import tree
from xsd.client import Client
from xsd.protocol.ops import Op


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
    "a missing node fails": """
        $ tree /t/none
        ! xsd tree: /t/none: there is no such node
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


@pytest.fixture
def acted(monkeypatch: pytest.MonkeyPatch) -> ActedDaemon:
    """A daemon whose answers the test decides, with /t/a/x and /t/b."""
    daemon = ActedDaemon()
    daemon.add(["a/x", "b"])
    monkeypatch.setattr("xsd.cli.tree.connect", lambda _: daemon.client())
    return daemon


@pytest.mark.parametrize("what", [Op.READ, Op.DIRECTORY])
def test_node_that_vanishes_meanwhile_is_left_out(
    xsd: Run, acted: ActedDaemon, what: Op
) -> None:
    """With all below it; the others are drawn."""
    acted.refused[what, b"/t/a"] = "ENOENT"

    result = xsd("tree", "--ascii", "/t")

    assert result == Result(b'/t = "t"\n`-- b = "b"\n')


@pytest.mark.parametrize("what", [Op.READ, Op.DIRECTORY])
def test_refusal_below_the_top_is_told(xsd: Run, acted: ActedDaemon, what: Op) -> None:
    """A node that may not be read is not taken for a vanished one."""
    acted.refused[what, b"/t/a"] = "EACCES"

    out, err, status = xsd("tree", "--ascii", "/t")

    assert out == b'/t = "t"\n'
    assert (err, status) == (
        b"xsd tree: /t/a: no right to read it (see the daemon's log)\n",
        1,
    )


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
