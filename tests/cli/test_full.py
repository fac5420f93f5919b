"""xsd.cli.full: what argparse makes of a table of options, for whatever is odd."""

import pytest

from xsd.cli.common import ClientParser
from xsd.cli.full import parser_of, suggestion


def parser() -> ClientParser:
    """Return a parser with options and paths."""
    made = ClientParser("test", "A test.", "examples:\n  xsd test -p /a\n")
    made.add_argument("-p", "--prefix", action="store_true", help="a prefix")
    made.add_argument("--depth", type=int, metavar="N", help="how deep")
    made.add_paths()
    return made


def test_help_is_made_of_the_table() -> None:
    """Every option with its text, and the examples."""
    text = parser_of(parser()).format_help()

    assert text.startswith("usage: xsd test [-h] [--socket PATH] [-s]")
    for part in ("A test.", "-p, --prefix", "a prefix", "--depth N", "xsd test -p /a"):
        assert part in text


@pytest.mark.parametrize(
    ("words", "paths", "prefix", "depth"),
    [
        ("--pre /a", ["/a"], True, None),
        ("/a --dep 3 -p /b", ["/a", "/b"], True, 3),
        ("/a --depth -3", ["/a"], False, -3),
        ("-p -- /a -x", ["/a", "-x"], True, None),
    ],
)
def test_what_argparse_reads_is_all_there(
    words: str, paths: list[str], prefix: bool, depth: int | None
) -> None:
    """Abbreviations, numbers that look like options, options behind paths."""
    values = parser_of(parser()).read(words.split())

    assert (values.paths, values.prefix, values.depth) == (paths, prefix, depth)
    assert (values.s, values.socket, values.timeout) == (False, None, 10)


@pytest.mark.parametrize(
    ("word", "question"),
    [
        ("--prefux", " (did you mean --prefix?)"),
        ("--prefux=1", " (did you mean --prefix?)"),
        ("--zzz", ""),
    ],
)
def test_typing_mistakes_are_asked_about(word: str, question: str) -> None:
    """If something is like it."""
    assert suggestion(word, ["--prefix", "--depth"]) == question
