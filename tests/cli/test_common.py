"""xsd.cli.common: what the subcommands share."""

import errno
import os

import pytest

from xsd.cli.common import (
    ClientParser,
    ancestors,
    run_in_transaction,
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
