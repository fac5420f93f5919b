"""The table of settings, and what a value of the file may be."""

import tomllib
from pathlib import Path

import pytest

from xsd.daemon.settings import (
    INT_MAX,
    QUOTAS,
    SECTIONS,
    SETTINGS,
    SOFT_QUOTAS,
    Kind,
    Setting,
    render,
)

SWITCH = Setting("a.switch", Kind.SWITCH, default=False, text="")
NUMBER = Setting("a.number", Kind.NUMBER, 1, "", high=9)
PATH = Setting("a.path", Kind.PATH, None, "")
CHOICE = Setting("a.choice", Kind.CHOICE, "x", "", allowed=("x", "y"))
CHOICES = Setting("a.choices", Kind.CHOICES, frozenset(), "", allowed=("x", "y"))


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_each_setting_is_described(setting: Setting) -> None:
    """A sentence, a unit for numbers, words for choices, a default that is allowed."""
    assert setting.text.endswith(".")
    assert setting.text[0].isupper()
    assert bool(setting.unit) == (setting.kind is Kind.NUMBER)
    assert bool(setting.allowed) == (setting.kind in {Kind.CHOICE, Kind.CHOICES})
    assert setting.options or setting.variable
    if setting.default is not None:
        written = tomllib.loads(f"x = {render(setting.default)}")["x"]
        assert setting.check(written) == setting.default


def test_each_quota_is_a_setting() -> None:
    """Hard and soft ones, by their names."""
    names = [each.name for each in SETTINGS.values() if each.section == "quota"]
    soft = [each.name for each in SETTINGS.values() if each.section == "quota.soft"]

    assert names == list(QUOTAS)
    assert soft == list(SOFT_QUOTAS)


def test_sections_come_in_the_order_of_the_file() -> None:
    """Each once, and a setting stands in one of them."""
    assert SECTIONS == ("daemon", "domains", "log", "quota", "quota.soft", "timeout")


@pytest.mark.parametrize(
    ("setting", "value", "read"),
    [
        (SWITCH, True, True),
        (SWITCH, False, False),
        (NUMBER, 0, 0),
        (NUMBER, 9, 9),
        (PATH, "/a/b", Path("/a/b")),
        (CHOICE, "y", "y"),
        (CHOICES, ["y", "x", "y"], frozenset({"x", "y"})),
        (CHOICES, [], frozenset()),
    ],
)
def test_a_value_becomes_what_the_daemon_uses(
    setting: Setting, value: object, read: object
) -> None:
    """Of the same type for every kind."""
    found = setting.check(value)

    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        (SWITCH, 1, "1 is not true or false"),
        (SWITCH, "yes", '"yes" is not true or false'),
        (NUMBER, True, "true is not a whole number from 0 to 9"),
        (NUMBER, -1, "-1 is not a whole number from 0 to 9"),
        (NUMBER, 10, "10 is not a whole number from 0 to 9"),
        (NUMBER, 1.0, "1.0 is not a whole number from 0 to 9"),
        (NUMBER, "1", '"1" is not a whole number from 0 to 9'),
        (NUMBER, {}, "a section is not a whole number from 0 to 9"),
        (PATH, "", '"" is not an absolute path'),
        (PATH, "a/b", '"a/b" is not an absolute path'),
        (PATH, "/a\0", r'"/a\u0000" is not an absolute path'),
        (PATH, 5, "5 is not an absolute path"),
        (CHOICE, "z", '"z" is not one of "x", "y"'),
        (CHOICE, ["x"], '["x"] is not one of "x", "y"'),
        (CHOICES, "x", '"x" is not a list of "x", "y"'),
        (CHOICES, ["x", "z"], '["x", "z"] is not a list of "x", "y"'),
        (CHOICES, [["x"]], '[["x"]] is not a list of "x", "y"'),
    ],
)
def test_another_value_is_refused_with_what_was_expected(
    setting: Setting, value: object, problem: str
) -> None:
    """And with the value as the file has it."""
    with pytest.raises(ValueError, match="is not") as refused:
        setting.check(value)

    assert str(refused.value) == problem


def test_numbers_end_where_those_of_the_command_line_do() -> None:
    """The daemon's own limit."""
    nodes = SETTINGS["quota.nodes"]

    assert nodes.check(INT_MAX) == INT_MAX
    with pytest.raises(ValueError, match="from 0 to 2147483647"):
        nodes.check(INT_MAX + 1)


@pytest.mark.parametrize("text", ['a"\\b', "a\n\x1b[2J\x7f", "ä€\U0001f600", ""])
def test_text_is_written_as_toml_reads_it(text: str) -> None:
    """Nothing in it moves a terminal."""
    written = render(text)

    assert tomllib.loads(f"x = {written}")["x"] == text
    assert written.isprintable()


def test_switches_are_written_in_one_order() -> None:
    """Whatever the order of a set."""
    assert render(frozenset({"io", "obj", "acc"})) == '["obj", "io", "acc"]'
    assert render(None) == "(not set)"


def test_the_documentation_has_the_table() -> None:
    """A row for each setting, in the order of the file."""
    page = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
    lines = page.read_text().splitlines()
    documented = [line for line in lines if line.startswith(("| `", "### `["))]

    expected = []
    for section in SECTIONS:
        expected.append(f"### `[{section}]`")
        expected += [row(each) for each in SETTINGS.values() if each.section == section]
    assert [line for line in documented if line in expected] == expected


def row(setting: Setting) -> str:
    """Return a setting's line in the table of the documentation."""
    default = "" if setting.default is None else f"`{render(setting.default)}`"
    expected = setting.expected + (f", {setting.unit}" if setting.unit else "")
    options = ", ".join(f"`--{option}`" for option in setting.options)
    live = "yes" if setting.live else "no"
    cells = [f"`{setting.name}`", expected, default, options, live, setting.text]
    return f"| {' | '.join(cells)} |"
