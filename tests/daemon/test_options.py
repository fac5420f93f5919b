"""The command line is that of the C daemon, and some more."""

import pytest

from xsd.daemon.arguments import usage
from xsd.daemon.config import load
from xsd.daemon.options import OPTIONS, parse
from xsd.daemon.settings import Config
from xsd.store.quota import DEFAULTS

OF_C = (
    "-F /run/x.pid, -N, -T trace, --trace-control=-io, -E6, -S6, -W6, -t6, -A6, -M6,"
    " -Q nodes=6, -q memory=6, -w watch-event=6, -K, --event 6, --master-domid 6,"
    " --priv-domid 6"
)


@pytest.mark.parametrize("words", OF_C.split(", "))
def test_each_option_of_the_c_daemon_reaches_the_configuration(words: str) -> None:
    """None is taken and then forgotten."""
    line = parse(words.split())

    assert line.ignored == ()
    assert load({}, line.settings) != Config()


def test_the_file_of_settings_is_named() -> None:
    """For the loader, which looks for it first."""
    assert parse(["--config", "x.toml", "-N"]).settings == (
        ("config", "x.toml"),
        ("no-fork", ""),
    )


@pytest.mark.parametrize("letter", "DILPRV")
def test_each_option_of_older_c_daemons_is_ignored(letter: str) -> None:
    """Their start scripts must work."""
    line = parse([f"-{letter}", "-N"])

    assert line.settings == (("no-fork", ""),)
    assert "no effect any more" in line.ignored[0]


@pytest.mark.parametrize("word", ["-H", "-h", "--help"])
def test_help_and_the_version_can_be_asked_for(word: str) -> None:
    """C's letter is H; h is what people type. Neither is a setting."""
    line = parse([word, "--version"])

    assert (line.wants_help, line.wants_version, line.settings) == (True, True, ())


def test_the_help_names_what_can_be_limited() -> None:
    """In lines that a terminal holds."""
    text = usage("xenstored", OPTIONS)
    about = text.partition("  -Q, --quota <what=n> ")[2].partition("\n  -q, ")[0]

    assert max(map(len, text.splitlines())) <= 80
    assert {*DEFAULTS} <= set(about.replace(",", "").split())
