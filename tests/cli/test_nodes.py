"""xsd.cli.nodes: read, write, list, exists, mkdir, rm.

Those that the xenstore-* tools have are compared with them in test_agreement.
"""

from collections.abc import Mapping

import pytest

from tests.cli.conftest import Follow, Result, Run
from xsd.client import Client

RULES: Mapping[str, str] = {
    "read prints escaped values, one a line, in the order asked for": r"""
        $ write /t/a 'one\ntwo\000\xff' /t/b ''
        $ read /t/b /t/a

        one\ntwo\000\xff
    """,
    "-p puts the path in front; options may stand between paths": """
        $ write /t/a 1
        $ read -p /t/a
        /t/a: 1
        $ read /t/a -p /t/a
        /t/a: 1
        /t/a: 1
    """,
    "-R neither escapes nor ends the line": r"""
        $ write /t/a '\\'
        $ read -R /t/a
        \%
        $ read -pR /t/a
        /t/a: \%
    """,
    "what was read or listed before a missing node is printed all the same": """
        $ write /t/a 1
        $ read /t/a /t/none /t/a
        1
        ! xsd read: couldn't read path /t/none
        $ list /t /t/none
        a
        ! xsd list: could not list path /t/none
    """,
    "write unescapes unless told not to": r"""
        $ write /t/a '1\n\x00' /t/b ''
        $ write --raw /t/c '1\n'
        $ read /t/a /t/b /t/c
        1\n\000

        1\\n
    """,
    "no option looks like a number; anything may follow --": """
        $ write /t/a -5
        $ write -- /t/b -5
        $ write /t/c -- -5
        $ write -R /t/d -5
        $ write /t/e -- -p
        $ read /t/a /t/b /t/c /t/d /t/e
        -5
        -5
        -5
        -5
        -p
    """,
    "write and mkdir are all or nothing": """
        $ mkdir /t
        $ write /t/a 1 /t//b 2
        ! xsd write: could not write path /t//b
        $ mkdir /t/a /t//b
        ! xsd mkdir: could not make path /t//b
        $ list /t
    """,
    "list prints names or paths, and nothing of a node without children": """
        $ mkdir /t/b /t/a/x
        $ list /t /t/b /t/a
        b
        a
        x
        $ list -p /t
        /t/b
        /t/a
    """,
    "exists says it by its status: all of the nodes must exist": """
        $ mkdir /t/a
        $ exists /t /t/a
        $ exists /t/none /t
        ? 1
        $ exists /t /t//a
        ? 1
    """,
    "mkdir makes parents too, and leaves existing nodes alone": """
        $ write /t/a 1
        $ mkdir /t/a /t/b/c
        $ read /t/a
        1
        $ list /t/b
        c
    """,
    "rm takes subtrees; a missing node is no error, one without a parent is": """
        $ mkdir /t/a/b /t/c
        $ rm /t/a /t/none
        $ rm /t/c /t/none/x
        ! xsd rm: could not remove path /t/none/x
        $ list /t
        c
    """,
    "rm -t takes parents, up to the first with a value or another child": """
        $ mkdir /t/a/b/c/d /t/x/y /t/x/z
        $ write /t/a 1
        $ rm -t /t/a/b/c/d /t/x/y
        $ list -p /t /t/a /t/x
        /t/a
        /t/x
        /t/x/z
    """,
}


@pytest.mark.parametrize("transcript", RULES.values(), ids=RULES)
@pytest.mark.usefixtures("client")
def test_commands_do_what_the_transcript_says(follow: Follow, transcript: str) -> None:
    """On a store without /t."""
    follow(transcript)


def test_paths_are_bytes(xsd: Run, client: Client) -> None:
    """Whatever the encoding of the terminal, errors repeat them unchanged."""
    client.mkdir("/t")

    assert xsd("read", b"/t/\xff") == Result(
        b"", b"xsd read: couldn't read path /t/\xff\n", 1
    )
    assert b"\n/t\n" in b"\n" + xsd("list", "-p", "/").out


def test_value_over_the_limit_fails(xsd: Run, client: Client) -> None:
    """A request has 4,096 bytes at most, the path and its NUL included."""
    client.mkdir("/t")

    assert xsd("write", "/t/a", "x" * 4092).status == 1
    assert client.directory("/t") == []


def test_path_without_value_is_misuse(xsd: Run) -> None:
    """Nothing is written, the usage is shown, and the status is 1."""
    result = xsd("write", "/t/a", "1", "/t/b")

    assert result.status == 1
    assert result.err.startswith(b"usage: xsd write ")
    assert result.err.endswith(b"xsd write: no value for path /t/b\n")


def test_tidy_rm_of_a_relative_path(xsd: Run, client: Client) -> None:
    """It is below `/local/domain/0`, which stays even if it holds nothing."""
    client.mkdir("/local/domain/0")
    before = client.directory("/local/domain/0")
    client.write("t/a", b"")

    assert xsd("rm", "-t", "t/a") == Result(b"")

    assert client.directory("/local/domain/0") == before
