"""xsd.cli.nodes: read, write, list, exists, mkdir, rm.

What the xenstore-* tools do as well is compared with them in test_agreement.
"""

from collections.abc import Mapping

import pytest

from tests.cli.conftest import Follow, Result, Run
from xsd.client import Client

RULES: Mapping[str, str] = {
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
        ! xsd write: /t//b: this is no path: empty part in path
        $ mkdir /t/a /t//b
        ! xsd mkdir: /t//b: this is no path: empty part in path
        $ list /t
    """,
    "mkdir makes parents too, and leaves existing nodes alone": """
        $ write /t/a 1
        $ mkdir /t/a /t/b/c
        $ read /t/a
        1
        $ list /t/b
        c
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
        b"",
        b"xsd read: /t/\xff: this is no path: there are letters of ASCII, digits and"
        b" -/_@ in one\n",
        1,
    )


def test_list_of_the_root_has_paths_with_one_slash(xsd: Run, client: Client) -> None:
    """Where xenstore-list prints two."""
    client.mkdir("/t")

    assert b"\n/t\n" in b"\n" + xsd("list", "-p", "/").out


def test_tidy_rm_of_a_relative_path(xsd: Run, client: Client) -> None:
    """It is below `/local/domain/0`, which stays even if it holds nothing."""
    client.mkdir("/local/domain/0")
    before = client.directory("/local/domain/0")
    client.write("t/a", b"")

    assert xsd("rm", "-t", "t/a") == Result(b"")

    assert client.directory("/local/domain/0") == before
