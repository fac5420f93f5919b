"""The command line is that of the C daemon, and some more."""

import pytest

from xsd.daemon.config import Config, gather, load
from xsd.daemon.options import OPTIONS, parse
from xsd.daemon.settings import SETTINGS

VALUES = {
    "hypervisor": "xen",
    "timeout": "watch-event=5",
    "quota": "nodes=5",
    "quota-soft": "memory=5",
    "trace-control": "+acc",
    "log-level": "debug",
    "log-format": "json",
}


@pytest.mark.parametrize(
    "words",
    [
        ["-F", "/run/x.pid"],
        ["-N"],
        ["-T", "trace"],
        ["--trace-control=-io"],
        ["-E5"],
        ["-S5"],
        ["-W5"],
        ["-t5"],
        ["-A5"],
        ["-M5"],
        ["-Q", "nodes=5"],
        ["-q", "memory=5"],
        ["-w", "watch-event=5"],
        ["-K"],
        ["--event", "5"],
        ["--master-domid", "5"],
        ["--priv-domid", "5"],
    ],
)
def test_each_option_of_the_c_daemon_reaches_the_configuration(
    words: list[str],
) -> None:
    """None is taken and then forgotten."""
    line = parse(words)

    assert line.ignored == ()
    assert load({}, line.settings) != Config()


NO_SETTINGS = {"config", "help", "version"}


@pytest.mark.parametrize(
    "option", [o.name for o in OPTIONS if not o.gone and o.name not in NO_SETTINGS]
)
def test_each_option_has_a_setting(option: str) -> None:
    """The table of options and the table of settings have the same keys."""
    known = next(o for o in OPTIONS if o.name == option)
    words = [f"--{option}", VALUES.get(option, "5")] if known.value else [f"--{option}"]
    line = parse(words)

    assert load({}, line.settings) != Config()


def test_the_options_in_the_table_of_settings_are_those_of_the_command_line() -> None:
    """The documentation is made from it."""
    described = {
        option.split()[0] for each in SETTINGS.values() for option in each.options
    }
    known = {option.name for option in OPTIONS if not option.gone}

    assert described == known - NO_SETTINGS - {"live-update"}


def test_an_option_makes_the_setting_that_the_table_says() -> None:
    """As one can see by its source."""
    for setting in SETTINGS.values():
        for option in setting.options:
            name, _, value = option.partition(" ")
            number = value.replace("=n", "=5").replace("=s", "=5")
            given = number or VALUES.get(name, "5")

            settings = gather(None, {}, {}, [(name, given)])

            assert settings.sources[setting.key] == f"--{name}"


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
def test_help_can_be_asked_for(word: str) -> None:
    """C's letter is H; h is what people type."""
    assert parse([word]).wants_help


def test_version_can_be_asked_for() -> None:
    """Neither it nor --help is a setting."""
    line = parse(["--version", "--help"])

    assert line.wants_version
    assert line.settings == ()
