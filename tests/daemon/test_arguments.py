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


READ: dict[str, dict[str, str]] = {
    "an argument may be attached or the next word": {
        "-F x": "pid-file=x",
        "-Fx": "pid-file=x",
        "--pid-file x": "pid-file=x",
        "--pid-file=x": "pid-file=x",
    },
    "an argument may look like an option or be empty: its place counts": {
        "-F -N": "pid-file=-N",
        "--quota --": "quota=--",
        "--pid-file= -N": "pid-file= no-fork=",
    },
    "letters may be joined": {
        "-NF x": "no-fork= pid-file=x",
        "-NFx": "no-fork= pid-file=x",
    },
    "an option may have two letters": {"-n": "no-fork=", "-N": "no-fork="},
    "a long name may be cut short if that leaves no doubt": {
        "--pid=x --quota=y": "pid-file=x quota=y",
        "--quota-=z": "quota-soft=z",
        "--quo=y": "| ignored: unknown option '--quo=y'",
    },
    "the order is kept, as a later option overrides an earlier one": {
        "-Q a=1 -N -Q a=2": "quota=a=1 no-fork= quota=a=2",
    },
    # Another version's start script must still start the daemon.
    "an unknown option is ignored and named": {
        "--new -N": "no-fork= | ignored: unknown option '--new'",
        "-X -N": "no-fork= | ignored: unknown option '-X' in '-X'",
        "--new=5 -N": "no-fork= | ignored: unknown option '--new=5'",
        "--=x -N": "no-fork= | ignored: unknown option '--=x'",
    },
    "letters before an unknown one count, those behind may be its argument": {
        "-X5 -N": "no-fork= | ignored: unknown option '-X' in '-X5'",
        "-NXN": "no-fork= | ignored: unknown option '-X' in '-NXN'",
    },
    "an option of older versions is ignored with a hint, letters behind it count": {
        "-VN": "no-fork= | ignored: -V/--verbose has no effect any more",
        "--verbose": "| ignored: -V/--verbose has no effect any more",
    },
    # `-I off` of older versions.
    "a word after an ignored option may be its argument": {
        "--new 5 -N": "no-fork= | ignored: unknown option '--new'"
        " | ignored: '5' after an ignored option",
    },
}


@pytest.mark.parametrize("lines", READ.values(), ids=READ)
def test_a_command_line_is_read_as_by_getopt_long(lines: dict[str, str]) -> None:
    """What is given in its order, and what is ignored."""
    for line, expected in lines.items():
        found = scan(line.split(), OPTIONS)

        given = " ".join(f"{name}={value}" for name, value in found.given)
        assert " | ".join([given, *found.ignored]).lstrip() == expected


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--new"], "unknown option '--new'"),
        (["-NX"], "unknown option '-X' in '-NX'"),
        (["--pid-fiel=f"], "unknown option '--pid-fiel=f' (did you mean --pid-file?)"),
        # Options that are gone are none to be meant.
        (["--verbos3"], "unknown option '--verbos3'"),
    ],
)
def test_unknown_options_are_refused_where_that_is_wanted(
    words: list[str], message: str
) -> None:
    """With what was perhaps meant."""
    with pytest.raises(UsageError) as refused:
        scan(words, OPTIONS, strict=True)

    assert str(refused.value) == message
    assert scan(words, OPTIONS).ignored


def test_usage_shows_each_option_that_has_a_meaning() -> None:
    """One line for each; those of older versions are left out."""
    text = usage("prog", OPTIONS)

    assert text.startswith("Usage: prog [option]...\n")
    assert "  -F, --pid-file <file>  " in text
    assert "      --event <n>  " in text
    assert "verbose" not in text
