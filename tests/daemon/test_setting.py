"""What a value of the file or of the command line may be, kind by kind."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from xsd.daemon.arguments import Option
from xsd.daemon.setting import (
    INT_MAX,
    Choice,
    Choices,
    File,
    Given,
    Kind,
    Number,
    Switch,
    Value,
    render,
    rows_of,
    setting,
)

SWITCH = Switch()
NUMBER = Number("cows", 9)
LARGE = Number("cows")
FILE = File("x")
CHOICE = Choice("x", "y")
CHOICES = Choices("x", "y")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (SWITCH, [(True, True), (False, False)]),
        (NUMBER, [(0, 0), (9, 9)]),
        (LARGE, [(INT_MAX, INT_MAX)]),
        (FILE, [("/a/b", Path("/a/b"))]),
        (CHOICE, [("y", "y")]),
        (CHOICES, [(["y", "x", "y"], frozenset({"x", "y"})), ([], frozenset())]),
    ],
)
def test_a_value_becomes_what_the_daemon_uses(
    kind: Kind[Value], values: list[tuple[object, object]]
) -> None:
    """Of the same type for every kind."""
    for value, read in values:
        found = kind.check(value)

        assert found == read
        assert type(found) is type(read)


@pytest.mark.parametrize(
    ("kind", "expected", "wrong"),
    [
        (SWITCH, "true or false", [(1, "1"), ("yes", '"yes"')]),
        (
            NUMBER,
            "a whole number from 0 to 9",
            [(True, "true"), (-1, "-1"), (10, "10"), (1.0, "1.0"), ("1", '"1"')],
        ),
        (NUMBER, "a whole number from 0 to 9", [({}, "a section")]),
        # The end of those of the command line, too.
        (LARGE, "a whole number from 0 to 2147483647", [(2**31, "2147483648")]),
        (
            FILE,
            "an absolute path",
            [("", '""'), ("a/b", '"a/b"'), ("/a\0", r'"/a\u0000"'), (5, "5")],
        ),
        (CHOICE, 'one of "x", "y"', [("z", '"z"'), (["x"], '["x"]')]),
        (
            CHOICES,
            'a list of "x", "y"',
            [("x", '"x"'), (["x", "z"], '["x", "z"]'), ([["x"]], '[["x"]]')],
        ),
    ],
)
def test_another_value_is_refused_with_what_was_expected(
    kind: Kind[Value], expected: str, wrong: list[tuple[object, str]]
) -> None:
    """And with the value as the file has it."""
    for value, written in wrong:
        with pytest.raises(ValueError, match="is not") as refused:
            kind.check(value)

        assert str(refused.value) == f"{written} is not {expected}"


@pytest.mark.parametrize("text", ['a"\\b', "a\n\x1b[2J\x7f", "ä€\U0001f600", ""])
def test_text_is_written_as_toml_reads_it(text: str) -> None:
    """Nothing in it moves a terminal."""
    written = render(text)

    assert tomllib.loads(f"x = {written}")["x"] == text
    assert written.isprintable()


def test_words_are_written_in_one_order() -> None:
    """Whatever the order of a set; what is not set is no TOML."""
    kind = Choices("obj", "io", "acc")

    assert kind.render(frozenset({"acc", "io", "obj"})) == '["obj", "io", "acc"]'
    assert kind.render(None) == "(not set)"


def test_a_row_has_its_field_and_its_words() -> None:
    """What a table says once is there for all who use it."""

    @dataclass
    class Table:
        cows: int = setting(
            "farm.cows",
            NUMBER,
            5,
            "Cows.",
            Option("cows", "c", "n", "cows"),
            Given(Option("animals", "", "what=n", "animals"), "cows"),
        )

    (row,) = rows_of(fields(Table))

    assert Table().cows == row.default == 5
    assert (row.field, row.section, row.name) == ("cows", "farm", "cows")
    assert row.options == ("cows", "animals cows=n")
    assert row.expected == "a whole number from 0 to 9 (cows)"
