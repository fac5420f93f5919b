"""Command lines are read as getopt_long reads them."""

import pytest

from xsd.daemon.arguments import Option, UsageError, scan, usage

OPTIONS = (
    Option("pid-file", "F", "file", "where the process id goes"),
    Option("no-fork", "Nn", "", "stay"),
    Option("quota", "Q", "what=n", "a limit"),
    Option("quota-soft", "q", "what=n", "a soft limit"),
    Option("event", "", "n", "a port"),
    Option("verbose", "V", gone=True),
)


def given(*words: str) -> list[tuple[str, str]]:
    """Read words of which none is to be ignored."""
    found = scan(words, OPTIONS)

    assert found.ignored == []
    return found.given


def test_an_argument_may_be_attached_or_the_next_word() -> None:
    """All four ways of writing it are in use in start scripts."""
    expected = [("pid-file", "x")]

    assert given("-F", "x") == expected
    assert given("-Fx") == expected
    assert given("--pid-file", "x") == expected
    assert given("--pid-file=x") == expected


def test_an_argument_may_look_like_an_option_or_be_empty() -> None:
    """What an option's argument is depends on its place only."""
    assert given("-F", "-N") == [("pid-file", "-N")]
    assert given("--quota", "--") == [("quota", "--")]
    assert given("--pid-file=", "-N") == [("pid-file", ""), ("no-fork", "")]


def test_letters_may_be_joined() -> None:
    """`-NF file` is `-N -F file`."""
    assert given("-NF", "x") == [("no-fork", ""), ("pid-file", "x")]
    assert given("-NFx") == [("no-fork", ""), ("pid-file", "x")]


def test_an_option_may_have_two_letters() -> None:
    """Both mean the same."""
    assert given("-n") == given("-N")


def test_a_long_name_may_be_cut_short_if_that_leaves_no_doubt() -> None:
    """`--quota` is exact, `--quota-` can only be `--quota-soft`, `--quo` is open."""
    assert given("--pid=x", "--quota=y") == [("pid-file", "x"), ("quota", "y")]
    assert given("--quota-=z") == [("quota-soft", "z")]

    assert scan(["--quo=y"], OPTIONS).ignored == ["ignored: unknown option '--quo=y'"]


def test_the_order_of_options_is_kept() -> None:
    """A later option overrides an earlier one, so order is meaning."""
    found = given("-Q", "a=1", "-N", "-Q", "a=2")

    assert found == [("quota", "a=1"), ("no-fork", ""), ("quota", "a=2")]


@pytest.mark.parametrize("words", [["--new"], ["-X"], ["--new=5"], ["-X5"], ["--=x"]])
def test_an_unknown_option_is_ignored_and_named(words: list[str]) -> None:
    """Another version's start script must still start the daemon."""
    found = scan([*words, "-N"], OPTIONS)

    assert found.given == [("no-fork", "")]
    assert len(found.ignored) == 1
    assert words[0] in found.ignored[0]


def test_letters_before_an_unknown_one_count() -> None:
    """What comes after it may be its argument and does not."""
    found = scan(["-NXN"], OPTIONS)

    assert found.given == [("no-fork", "")]
    assert found.ignored == ["ignored: unknown option '-X' in '-NXN'"]


def test_an_option_of_older_versions_is_ignored_with_a_hint() -> None:
    """The letters joined to it still count."""
    found = scan(["-VN", "--verbose"], OPTIONS)

    assert found.given == [("no-fork", "")]
    assert found.ignored == ["ignored: -V/--verbose has no effect any more"] * 2


def test_a_word_after_an_ignored_option_is_ignored_too() -> None:
    """It may be that option's argument: `-I off` of older versions."""
    found = scan(["--new", "5", "-N"], OPTIONS)

    assert found.given == [("no-fork", "")]
    assert found.ignored[1] == "ignored: '5' after an ignored option"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-F"], "-F/--pid-file needs an argument: <file>"),
        (["--event"], "--event needs an argument: <n>"),
        (["--no-fork=1"], "-N/--no-fork takes no argument, got '1'"),
        (["stop"], "no arguments expected, got 'stop'"),
        (["-N", "-"], "no arguments expected, got '-'"),
        (["--", "-N"], "no arguments expected, got '-N'"),
        (["--new", "5", "6"], "no arguments expected, got '6'"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(
    words: list[str], message: str
) -> None:
    """The message names the option and what is wrong."""
    with pytest.raises(UsageError) as refused:
        scan(words, OPTIONS)

    assert str(refused.value) == message


def test_usage_shows_each_option_that_has_a_meaning() -> None:
    """One line for each; those of older versions are left out."""
    text = usage("prog", OPTIONS)

    assert text.startswith("Usage: prog [option]...\n")
    assert "  -F, --pid-file <file>  " in text
    assert "      --event <n>  " in text
    assert "verbose" not in text
