r"""xsd.cli.nodes: read, write, list, exists, mkdir, rm.

Those that the xenstore-* tools have are compared with them in test_agreement.
"""

from collections.abc import Mapping

import pytest

from tests.cli.conftest import Result, Run
from xsd.client import Client

STORE: Mapping[str, bytes] = {
    "/t/b": b"",
    "/t/a": b"one\ntwo\0",
    "/t/a/x": b"\xff\n",
}

PRINTED: dict[str, tuple[str, Result]] = {
    "read escapes values, one a line, in the order asked for": (
        "read /t/b /t/a",
        Result(b"\none\\ntwo\\000\n"),
    ),
    "-p puts the path in front": ("read -p /t/a/x", Result(b"/t/a/x: \\xff\\n\n")),
    "-R neither escapes nor ends the line": ("read -R /t/a/x", Result(b"\xff\n")),
    "both may be joined": ("read -pR /t/a/x", Result(b"/t/a/x: \xff\n")),
    # As with getopt_long.
    "options may stand between paths": (
        "read /t/b -p /t/b",
        Result(b"/t/b: \n/t/b: \n"),
    ),
    "what was read before a missing node is printed all the same": (
        "read /t/b /t/none /t/b",
        Result(b"\n", b"xsd read: couldn't read path /t/none\n", 1),
    ),
    "list prints names; a node without children prints nothing": (
        "list /t /t/b /t/a",
        Result(b"b\na\nx\n"),
    ),
    "list -p prints paths": ("list -p /t", Result(b"/t/b\n/t/a\n")),
    "what was listed before a missing node is printed all the same": (
        "list /t /t/none",
        Result(b"b\na\n", b"xsd list: could not list path /t/none\n", 1),
    ),
    "exists prints nothing": ("exists /t /t/a", Result(b"")),
    "all nodes must exist": ("exists /t/none /t", Result(b"", b"", 1)),
    "a path that is none does not exist": ("exists /t /t//a", Result(b"", b"", 1)),
}


@pytest.fixture
def store(client: Client) -> Client:
    """A client of a store with `STORE` in it."""
    for path, value in STORE.items():
        client.write(path, value)
    return client


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("words", "result"), PRINTED.values(), ids=PRINTED)
def test_what_asks_prints(xsd: Run, words: str, result: Result) -> None:
    """Values, names, or a status."""
    assert xsd(*words.split()) == result


@pytest.mark.usefixtures("store")
def test_path_of_a_child_of_the_root_has_one_slash(xsd: Run) -> None:
    """As libxenstore wants it."""
    assert b"\n/t\n" in b"\n" + xsd("list", "-p", "/").out


def test_paths_are_bytes(xsd: Run, client: Client) -> None:
    """Whatever the encoding of the terminal, errors repeat them unchanged."""
    client.mkdir("/t")

    assert xsd("read", b"/t/\xff") == Result(
        b"", b"xsd read: couldn't read path /t/\xff\n", 1
    )


def test_write_unescapes(xsd: Run, client: Client) -> None:
    """Unless told not to."""
    assert xsd("write", "/t/a", r"1\n\x00", "/t/b", "") == Result(b"")
    assert xsd("write", "--raw", "/t/c", r"1\n") == Result(b"")

    values = [client.read(path) for path in ("/t/a", "/t/b", "/t/c")]
    assert values == [b"1\n\0", b"", rb"1\n"]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("/t/a -5", b"-5"),
        ("-- /t/a -5", b"-5"),
        ("/t/a -- -5", b"-5"),
        ("-R /t/a -5", b"-5"),
        ("/t/a -- -p", b"-p"),
    ],
)
def test_dashed_values_are_values(
    xsd: Run, client: Client, words: str, value: bytes
) -> None:
    """No option looks like a number; anything may follow `--`."""
    assert xsd("write", *words.split()) == Result(b"")
    assert client.read("/t/a") == value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("write /t/a 1 /t//b 2", "write: could not write path /t//b"),
        # A request has 4,096 bytes at most, the path and its NUL included.
        ("write /t/a " + "x" * 4092, "write: could not write path /t/a"),
        ("mkdir /t/a /t//b", "mkdir: could not make path /t//b"),
    ],
    ids=["a bad path", "a value over the limit", "a bad path of mkdir"],
)
def test_changes_are_all_or_nothing(
    xsd: Run, client: Client, words: str, message: str
) -> None:
    """What fails leaves the others undone."""
    client.mkdir("/t")

    result = xsd(*words.split())

    assert (result.out, result.status) == (b"", 1)
    assert result.err.startswith(f"xsd {message}".encode())
    assert client.directory("/t") == []


def test_path_without_value_is_misuse(xsd: Run) -> None:
    """Nothing is written, the usage is shown, and the status is 1."""
    result = xsd("write", "/t/a", "1", "/t/b")

    assert result.status == 1
    assert result.err.startswith(b"usage: xsd write ")
    assert result.err.endswith(b"xsd write: no value for path /t/b\n")


def test_mkdir_makes_parents_too(xsd: Run, client: Client) -> None:
    """And leaves existing nodes alone."""
    client.write("/t/a", b"1")

    assert xsd("mkdir", "/t/a", "/t/b/c") == Result(b"")
    assert (client.read("/t/a"), client.directory("/t/b")) == (b"1", [b"c"])


def test_rm_takes_subtrees(xsd: Run, client: Client) -> None:
    """A missing node is no error, one without a parent is."""
    client.write("/t/a/b", b"")
    client.write("/t/c", b"")

    assert xsd("rm", "/t/a", "/t/none") == Result(b"")
    assert xsd("rm", "/t/c", "/t/none/x") == Result(
        b"", b"xsd rm: could not remove path /t/none/x\n", 1
    )
    assert client.directory("/t") == [b"c"]


def test_tidy_rm_takes_parents_that_hold_nothing(xsd: Run, client: Client) -> None:
    """It stops at the first with a value or another child."""
    client.write("/t/a/b/c/d", b"")
    client.write("/t/a", b"1")
    client.write("/t/x/y", b"")
    client.write("/t/x/z", b"")

    assert xsd("rm", "-t", "/t/a/b/c/d", "/t/x/y") == Result(b"")

    assert client.directory("/t") == [b"a", b"x"]
    assert (client.directory("/t/a"), client.directory("/t/x")) == ([], [b"z"])


def test_tidy_rm_of_a_relative_path(xsd: Run, client: Client) -> None:
    """It is below `/local/domain/0`, which stays even if it holds nothing."""
    client.mkdir("/local/domain/0")
    before = client.directory("/local/domain/0")
    client.write("t/a", b"")

    assert xsd("rm", "-t", "t/a") == Result(b"")

    assert client.directory("/local/domain/0") == before
