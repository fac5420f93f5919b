"""xsd.cli.common: what the subcommands share."""

import errno
import os

import pytest

from xsd.cli.common import (
    ClientParser,
    ValueMistakeError,
    ancestors,
    read_quickly,
    run_in_transaction,
    strerror,
)
from xsd.cli.full import parser_of
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


def positive(text: str) -> int:
    """Read a number, as an option may."""
    if not text.isdigit():
        raise ValueMistakeError(f"{text} is not positive")
    return int(text)


def parser_of_all_kinds() -> ClientParser:
    """Return a parser with every kind of option and operand that commands have."""
    made = ClientParser("test", "A test.", "")
    made.add_argument("-p", "--prefix", action="store_true")
    made.add_argument("-R", action="store_true")
    made.add_argument("-n", dest="count", type=int, default=-1)
    made.add_argument("-d", "--depth", type=positive)
    made.add_argument("what", choices=("show", "play"))
    made.add_argument("rest", nargs="+")
    return made


USUAL = """
show a; play a b; -p show a; show -pR a; show a -Rp; -n 5 show a; -n5 show a;
-n=5 show a;
-pn5 show a; -Rpn 5 show a; --depth 3 show a; --depth=3 show a; -d3 show a;
--socket s show a; --socket=s show a; --timeout 0 show a; show a --timeout=2.5;
-s show a;
-p -- show a; -p -- show -a --b; show a b c
"""
ODD = """
; -h; --help; show; eat a; -x show a; --pre show a; --dep 3 show a; -n x show a;
-n; --depth; --depth -3 show a; -n -5 show a; --prefix=1 show a; -p=1 show a;
-px show a;
- show a; show -; --socket; --timeout x show a; --timeout=-1 show a; -d x show a
"""


@pytest.mark.parametrize("words", [line.split() for line in USUAL.split(";")])
def test_usual_words_are_read_as_argparse_reads_them(words: list[str]) -> None:
    """It is only quicker."""
    made = parser_of_all_kinds()
    found = read_quickly(made.arguments, words)

    assert found is not None
    assert vars(found) == vars(parser_of(made).read(words))


@pytest.mark.parametrize("words", [line.split() for line in ODD.split(";")])
def test_odd_words_are_left_to_argparse(words: list[str]) -> None:
    """Help, abbreviations, mistakes, and what looks like an option and is none."""
    assert read_quickly(parser_of_all_kinds().arguments, words) is None


@pytest.mark.parametrize(
    ("many", "optional", "words", "paths"),
    [
        (True, False, "/a /b", ["/a", "/b"]),
        (True, True, "", []),
        (True, True, "/a", ["/a"]),
        (False, False, "/a", ["/a"]),
    ],
)
def test_paths_are_as_many_as_a_command_takes(
    many: bool, optional: bool, words: str, paths: list[str]
) -> None:
    """Always in a list."""
    made = ClientParser("test", "A test.", "")
    made.add_paths(many=many, optional=optional)
    assert made.parse(words.split(), None).paths == paths


def test_work_runs_in_a_transaction_only_if_needed(client: Client) -> None:
    """One request needs none."""
    kinds = [
        run_in_transaction(client, type, needed=needed) for needed in (False, True)
    ]

    assert kinds == [Client, Transaction]


@pytest.mark.parametrize("known", list(Errno))
def test_each_errno_has_a_phrase(known: Errno) -> None:
    """Those of the C library, as the xenstore-* tools print them."""
    phrase = strerror(XenStoreError(known, "refused"))

    assert phrase == os.strerror(getattr(errno, known.name))


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
