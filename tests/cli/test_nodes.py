"""xsd.cli.nodes: read, write, list, exists, mkdir, rm."""

import pytest

from tests.cli.conftest import Result, Run
from xsd.client import Client


def test_read_prints_escaped_values_one_a_line(xsd: Run, client: Client) -> None:
    """In the order asked for."""
    client.write("/t/a", b"one\ntwo\0")
    client.write("/t/b", b"")

    assert xsd("read", "/t/b", "/t/a") == Result(b"\none\\ntwo\\000\n")


def test_read_can_print_paths_and_raw_bytes(xsd: Run, client: Client) -> None:
    """-p puts the path in front, -R neither escapes nor ends the line."""
    client.write("/t/a", b"\xff\n")

    assert xsd("read", "-p", "/t/a") == Result(b"/t/a: \\xff\\n\n")
    assert xsd("read", "-R", "/t/a") == Result(b"\xff\n")
    assert xsd("read", "-pR", "/t/a") == Result(b"/t/a: \xff\n")


def test_read_of_a_missing_node_fails(xsd: Run, client: Client) -> None:
    """What was read before it is printed all the same."""
    client.write("/t/a", b"1")

    assert xsd("read", "/t/a", "/t/none", "/t/a") == Result(
        b"1\n", b"xsd read: couldn't read path /t/none\n", 1
    )


def test_options_may_stand_between_paths(xsd: Run, client: Client) -> None:
    """As with getopt_long."""
    client.write("/t/a", b"1")

    assert xsd("read", "/t/a", "-p", "/t/a") == Result(b"/t/a: 1\n/t/a: 1\n")


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


def test_write_is_all_or_nothing(xsd: Run, client: Client) -> None:
    """A path that fails leaves the others unwritten."""
    client.mkdir("/t")

    assert xsd("write", "/t/a", "1", "/t//b", "2") == Result(
        b"", b"xsd write: could not write path /t//b\n", 1
    )
    assert client.directory("/t") == []


def test_value_over_the_limit_fails(xsd: Run, client: Client) -> None:
    """A request has 4,096 bytes at most, the path and its NUL included."""
    client.mkdir("/t")

    assert xsd("write", "/t/a", "x" * 4092).status == 1
    assert client.directory("/t") == []


@pytest.mark.parametrize(
    "words",
    [("/t/a", "-5"), ("--", "/t/a", "-5"), ("/t/a", "--", "-5"), ("-R", "/t/a", "-5")],
)
def test_negative_numbers_are_values(
    xsd: Run, client: Client, words: tuple[str, ...]
) -> None:
    """No option looks like a number; anything may follow `--`."""
    assert xsd("write", *words) == Result(b"")
    assert client.read("/t/a") == b"-5"


def test_dashed_value_after_two_dashes(xsd: Run, client: Client) -> None:
    """The way to write what looks like an option."""
    assert xsd("write", "/t/a", "--", "-p") == Result(b"")
    assert client.read("/t/a") == b"-p"


def test_path_without_value_is_misuse(xsd: Run) -> None:
    """Nothing is written, the usage is shown, and the status is 1."""
    result = xsd("write", "/t/a", "1", "/t/b")

    assert result.status == 1
    assert result.err.startswith(b"usage: xsd write ")
    assert result.err.endswith(b"xsd write: no value for path /t/b\n")


def test_list_prints_names_or_paths(xsd: Run, client: Client) -> None:
    """A node without children prints nothing."""
    client.write("/t/b", b"")
    client.write("/t/a/x", b"")

    assert xsd("list", "/t", "/t/b", "/t/a") == Result(b"b\na\nx\n")
    assert xsd("list", "-p", "/t") == Result(b"/t/b\n/t/a\n")
    assert b"\n/t\n" in b"\n" + xsd("list", "-p", "/").out


def test_list_of_a_missing_node_fails(xsd: Run, client: Client) -> None:
    """As for read."""
    client.mkdir("/t/a")

    assert xsd("list", "/t", "/t/none") == Result(
        b"a\n", b"xsd list: could not list path /t/none\n", 1
    )


def test_exists_says_it_by_its_status(xsd: Run, client: Client) -> None:
    """All of the nodes must exist; nothing is printed."""
    client.mkdir("/t/a")

    assert xsd("exists", "/t", "/t/a") == Result(b"")
    assert xsd("exists", "/t/none", "/t") == Result(b"", b"", 1)
    assert xsd("exists", "/t", "/t//a") == Result(b"", b"", 1)


def test_mkdir_makes_parents_too(xsd: Run, client: Client) -> None:
    """And leaves existing nodes alone."""
    client.write("/t/a", b"1")

    assert xsd("mkdir", "/t/a", "/t/b/c") == Result(b"")
    assert (client.read("/t/a"), client.directory("/t/b")) == (b"1", [b"c"])


def test_mkdir_of_a_bad_path_fails(xsd: Run, client: Client) -> None:
    """All or nothing here too."""
    assert xsd("mkdir", "/t/a", "/t//b") == Result(
        b"", b"xsd mkdir: could not make path /t//b\n", 1
    )
    assert not client.exists("/t")


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
