"""The table of settings: each row is found wherever settings are named."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.generated import FILES, ROOT, names, renewed, roff, row, sentence
from xsd.cli.config import described, example, shown
from xsd.cli.control import COMMANDS as CONTROL
from xsd.daemon.arguments import usage
from xsd.daemon.config import Settings, gather
from xsd.daemon.options import CONFIG, OPTIONS
from xsd.daemon.setting import Choice, Choices, Number, Setting
from xsd.daemon.settings import LIMITS, ROWS, SECTIONS, SETTINGS, Config
from xsd.store import Store

TEXTS = {name: (ROOT / name).read_text() for name in FILES}


@pytest.mark.parametrize("setting", ROWS.values(), ids=ROWS)
def test_each_setting_is_described(setting: Setting) -> None:
    """A sentence, a unit for numbers, words for choices, a default that is allowed."""
    kind = setting.kind
    assert setting.text.endswith(".")
    assert setting.text[0].isupper()
    assert bool(kind.unit) == isinstance(kind, Number)
    assert bool(kind.words) == isinstance(kind, Choice | Choices)
    assert setting.given or setting.variable
    if setting.default is not None:
        written = tomllib.loads(f"x = {kind.render(setting.default)}")["x"]
        assert kind.check(written) == setting.default


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_each_setting_is_in_all_that_is_made_of_the_table(setting: Setting) -> None:
    """`xsd config`, --help, both manual pages, completion, documentation.

    That it can be in the file is tested with the example of `xsd config`.
    """
    page = TEXTS["man/xsd.toml.5"].partition(f".SS [{setting.section}]")[2]

    assert hasattr(Settings().config(), setting.field)
    assert setting.key in described()
    assert any(line.startswith(f"#{setting.name} = ") for line in example())
    assert any(setting.name in line.split() for line in shown(Settings()))
    assert sentence(setting.text) in page
    assert row(setting) in TEXTS["docs/configuration.md"].splitlines()
    for given in setting.given:
        text = TEXTS["completion/xsd.bash"]
        assert f"--{given.option.name}" in usage("xenstored", OPTIONS)
        assert roff(f"--{given.option.name}") in TEXTS["man/xenstored.8"]
        assert set(names(given.option)) <= set(re.split(r"[\s\"]+", text))


@pytest.mark.parametrize("name", FILES)
def test_what_is_made_of_the_table_is_as_it_is(name: str) -> None:
    """And of the commands' help; the files are part of the tree."""
    assert TEXTS[name] == renewed(name), f"{name} is old: make tables"


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_each_option_belongs_to_a_setting(option: object) -> None:
    """Or is of older versions, or asks for something else than a daemon."""
    used = {given.option for row in ROWS.values() for given in row.given}
    others = {option for option in OPTIONS if option.gone or option is CONFIG}
    others |= {option for option in OPTIONS if option.name in {"help", "version"}}

    assert (option in used) != (option in others)
    assert len(used | others) == len(OPTIONS)


def test_options_make_the_settings_that_the_table_says() -> None:
    """As one can see by the source."""
    for key, setting in ROWS.items():
        for given in setting.given:
            value = (setting.kind.words or ("5",))[-1]
            sign = "+" if isinstance(setting.kind, Choices) else ""
            word = f"{given.word}=" if given.word else ""

            found = gather(None, {}, {}, [(given.option.name, word + sign + value)])

            assert found.sources[key] == f"--{given.option.name}"
            assert found.values[key] not in (None, setting.default) or value == "5"


def test_places_in_the_text_for_help_are_no_ones_twice() -> None:
    """A new option has one of its own."""
    places = [option.place for option in OPTIONS if not option.gone]

    assert places == sorted(set(places) - {0})


def test_each_quota_is_a_setting_with_the_stores_default() -> None:
    """Hard and soft ones, by their names, in the store's order."""
    quotas = Store().quotas
    keys = [key for key in SETTINGS if key.startswith("quota.")]

    assert keys == list(LIMITS)
    assert sorted(LIMITS.values()) == sorted(quotas.names())
    assert Config().limits == {name: quotas.get(-1, name) for name in quotas.names()}


def test_sections_come_in_the_order_of_the_file() -> None:
    """Each once, and a setting stands in one of them."""
    assert (
        *("daemon", "domains", "log", "quota", "quota.soft", "timeout", "journal"),
    ) == SECTIONS


def test_every_setting_of_the_file_has_an_effect() -> None:
    """None is read for the sake of the C daemon's scripts alone."""
    assert [each.name for each in SETTINGS.values() if each.idle] == []


def test_a_live_update_is_no_setting_of_the_file() -> None:
    """A daemon says it to its successor."""
    assert gather(None, {}, {}, [("live-update", "")]).config().live_update
    assert set(ROWS) - set(SETTINGS) == {"live-update"}


def strings_together(path: Path) -> Iterator[set[str]]:
    """Find the strings that stand together in a tuple, list, set or dictionary."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        inside: list[ast.expr | None] = []
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            inside = list(node.elts)
        elif isinstance(node, ast.Dict):
            inside = [*node.keys, *node.values]
        yield {str(each.value) for each in inside if isinstance(each, ast.Constant)}


def test_no_other_list_names_settings() -> None:
    """One to be kept in step by hand would be forgotten."""
    known = {*ROWS, *(option.name for option in OPTIONS if not option.gone)}
    known |= {each.name for each in SETTINGS.values() if "-" in each.name}
    known |= {each.field for each in ROWS.values()}
    known -= {*CONTROL}  # these are names of commands as well
    by_hand = [
        (str(path.relative_to(ROOT)), *sorted(found & known))
        for path in (ROOT / "xsd").rglob("*.py")
        for found in strings_together(path)
        if len(found & known) > 2
    ]
    outside = re.sub(
        r"# begin: made.*?# end\n", "", TEXTS["completion/xsd.bash"], flags=re.DOTALL
    )

    assert by_hand == []
    assert "--log-level" in TEXTS["completion/xsd.bash"]
    assert "--log-level" not in outside
