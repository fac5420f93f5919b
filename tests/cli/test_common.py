"""xsd.cli.common: what the subcommands share."""

import errno
import os

import pytest

from xsd.cli.common import (
    ClientParser,
    ancestors,
    child_path,
    raw,
    run_in_transaction,
    show,
    strerror,
)
from xsd.client import Client, Transaction
from xsd.protocol.errors import Errno, XenStoreError


def parser() -> ClientParser:
    """Return a parser with an option and paths."""
    made = ClientParser("test", "A test.", "examples:\n  xsd test -p /a\n")
    made.add_argument("-p", action="store_true")
    made.add_paths()
    return made


@pytest.mark.parametrize(
    ("words", "paths", "p", "socket"),
    [
        ("/a /b", ["/a", "/b"], False, "one"),
        ("-p /a /b", ["/a", "/b"], True, "one"),
        ("/a -p /b", ["/a", "/b"], True, "one"),
        ("/a /b -p", ["/a", "/b"], True, "one"),
        ("-p -- /a", ["/a"], True, "one"),
        ("/a -- -p", ["/a", "-p"], False, "one"),
        ("-sp /a", ["/a"], True, "one"),
        # The one before the subcommand, unless there is one after it.
        ("--socket two /a", ["/a"], False, "two"),
    ],
)
def test_options_and_paths_come_in_any_order(
    words: str, paths: list[str], p: bool, socket: str
) -> None:
    """As with getopt_long; what follows `--` is a path."""
    options = parser().parse(words.split(), "one")

    assert (options.paths, options.p, options.socket) == (paths, p, socket)
    assert parser().parse(["/a"], None).socket is None


@pytest.mark.parametrize("words", [[], ["-x", "/a"]])
def test_misuse_exits_with_status_1(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The usage and the reason go to stderr."""
    with pytest.raises(SystemExit) as caught:
        parser().parse(words, None)

    printed = capsys.readouterr()
    assert caught.value.code == 1
    assert printed.out == ""
    assert printed.err.startswith("usage: xsd test ")
    assert "\nxsd test: " in printed.err


def test_help_has_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """As they are written, on stdout, with status 0."""
    with pytest.raises(SystemExit) as caught:
        parser().parse(["--help"], None)

    assert caught.value.code == 0
    assert capsys.readouterr().out.endswith("examples:\n  xsd test -p /a\n")


def test_optional_paths_may_be_missing() -> None:
    """For commands with a default."""
    made = ClientParser("test", "A test.", "")
    made.add_paths(optional=True)

    assert made.parse([], None).paths == []


def test_work_runs_in_a_transaction_only_if_needed(client: Client) -> None:
    """One request needs none."""
    kinds = [
        run_in_transaction(client, type, needed=needed) for needed in (False, True)
    ]

    assert kinds == [Client, Transaction]


def test_words_are_bytes_and_come_back_unchanged() -> None:
    """Whatever their encoding."""
    assert raw([os.fsdecode(b"/\xff"), "/a"]) == [b"/\xff", b"/a"]
    assert os.fsencode(show(b"/\xff")) == b"/\xff"


@pytest.mark.parametrize("known", list(Errno))
def test_each_errno_has_a_phrase(known: Errno) -> None:
    """Those of the C library, as the xenstore-* tools print them."""
    phrase = strerror(XenStoreError(known, "refused"))

    assert phrase == os.strerror(getattr(errno, known.name))


def test_child_of_the_root_has_one_slash() -> None:
    """All others get one between parent and name."""
    assert child_path(b"/", b"a") == b"/a"
    assert child_path(b"/a", b"b") == b"/a/b"
    assert child_path(b"a", b"b") == b"a/b"


@pytest.mark.parametrize(
    ("path", "above"),
    [
        (b"/a/b/c", [b"/a/b", b"/a"]),
        (b"a/b", [b"a"]),
        (b"/a", []),
        (b"a", []),
        (b"/", []),
        (b"", []),
        (b"@releaseDomain", []),
    ],
)
def test_ancestors_end_below_the_root(path: bytes, above: list[bytes]) -> None:
    """Nearest first."""
    assert list(ancestors(path)) == above
