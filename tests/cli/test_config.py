"""`xsd config`: looking at the daemon's configuration."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import Result, Run
from xsd.daemon.configfile import read_file
from xsd.daemon.settings import SETTINGS


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is used, which is not there yet."""
    found = tmp_path / "xsd.toml"
    monkeypatch.setattr("xsd.daemon.config.DEFAULT_FILE", found)
    for name in ("XSD_CONFIG", "XENSTORED_RUNDIR"):
        monkeypatch.delenv(name, raising=False)
    return found


def test_a_file_without_mistakes_is_status_0(xsd: Run, file: Path) -> None:
    """Named, or the one that is used."""
    file.write_text("[quota]\nnodes = 5\n")
    said = f"{file} has no mistakes\n".encode()

    assert xsd("config", "check", str(file)) == Result(said)
    assert xsd("config", "check") == Result(said)


def test_every_mistake_is_printed_with_status_2(xsd: Run, file: Path) -> None:
    """A line for each, nothing else."""
    file.write_text("[quota]\nnodes = -1\ncow = 1\n")

    result = xsd("config", "check", str(file))

    assert (result.status, result.out) == (2, b"")
    assert result.err.decode().splitlines() == [
        f"{file}: quota.nodes: -1 is not a whole number from 0 to 2147483647",
        (
            f"{file}: quota.cow: no such key; [quota] has nodes, watches, outstanding,"
            " memory, transactions, transaction-nodes, node-permissions, path-max,"
            " node-size"
        ),
    ]


@pytest.mark.parametrize("key", ["socket", "rundir"])
def test_a_socket_path_that_is_too_long_is_a_mistake(
    xsd: Run, file: Path, key: str
) -> None:
    """The environment does not cover it up: tomorrow's may be another."""
    file.write_text(f'[daemon]\n{key} = "/{"x" * 107}"\n')

    result = xsd("config", "check")

    assert result.status == 2
    assert b"a socket's path at most 107" in result.err


def test_only_a_file_that_is_named_has_to_be_there(
    xsd: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command or by the environment."""
    missing = Result(b"", f"{file}: No such file or directory\n".encode(), 2)

    assert xsd("config", "check").status == 0
    assert xsd("config", "check", str(file)) == missing
    assert xsd("config", "show", "--config", str(file)) == missing
    monkeypatch.setenv("XSD_CONFIG", str(file))
    assert xsd("config", "check") == missing


def test_settings_are_shown_with_their_sources(xsd: Run, file: Path) -> None:
    """In the form of a file: what is shown is what would be read."""
    file.write_text('[quota]\nnodes = 5\nwatches = 6\n[log]\nlevel = "debug"\n')

    result = xsd("config", "show", "-E", "7", "--socket", "/o/s")

    lines = result.out.decode().splitlines()
    assert (result.status, result.err) == (0, b"")
    assert lines[0] == f"# file: {file}"
    sources = {
        line.partition(" ")[0]: line.partition(" # ")[2]
        for line in lines
        if "=" in line
    }
    assert sources["nodes"] == "option: --entry-nb"
    assert sources["watches"] == "file"
    assert sources["level"] == "file"
    assert sources["transactions"] == "default"
    assert sources["socket"] == "option: --socket"
    file.write_bytes(result.out)
    found = read_file(file)
    assert found is not None
    assert (found["quota.nodes"], found["quota.watches"]) == (7, 6)
    assert found["daemon.socket"] == Path("/o/s")
    assert set(SETTINGS) - set(found) == {
        "daemon.pid-file",
        "domains.control-event-channel",
        "log.file",
        "log.record",
    }
    assert "# pid-file is not set" in lines


def test_a_variable_is_shown_as_one(
    xsd: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket follows the directory."""
    monkeypatch.delenv("XENSTORED_PATH")
    monkeypatch.setenv("XENSTORED_RUNDIR", "/r")

    out = xsd("config", "show").out.decode()

    assert re.search(r'\nrundir = "/r" +# environment: XENSTORED_RUNDIR\n', out)
    assert re.search(r'\nsocket = "/r/socket" +# environment: XENSTORED_RUNDIR\n', out)
    assert out.startswith("# file: none\n")
    assert not file.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-E", "x"], b"entry-nb: 'x' is no decimal number from 0 to 2147483647\n"),
        (["cows"], b"no arguments expected, got 'cows'\n"),
    ],
)
def test_a_wrong_option_is_status_2(
    xsd: Run, file: Path, words: list[str], said: bytes
) -> None:
    """As of the daemon itself."""
    assert xsd("config", "show", *words) == Result(b"", said, 2)
    assert not file.exists()


def test_an_option_that_the_daemon_ignores_is_ignored(xsd: Run, file: Path) -> None:
    """With the same words, and the settings are shown all the same."""
    result = xsd("config", "show", "--nonsense")

    assert (result.status, result.err) == (0, b"ignored: unknown option '--nonsense'\n")
    assert result.out == xsd("config", "show").out
    assert not file.exists()


def test_the_keys_are_described(xsd: Run) -> None:
    """Each with what it may be, its default, and how else it is given."""
    text = xsd("config", "keys").out.decode()

    paragraphs = dict(part.split("\n", 1) for part in text.strip().split("\n\n"))
    assert list(paragraphs) == list(SETTINGS)
    assert paragraphs["quota.nodes"] == (
        "    Nodes that a domain may own. 0 is no limit.\n"
        "    value:    a whole number from 0 to 2147483647 (nodes)\n"
        "    default:  1000\n"
        "    option:   --entry-nb, --quota nodes=n\n"
        "    reload:   yes"
    )
    assert paragraphs["daemon.rundir"] == (
        "    Directory for the socket.\n"
        "    value:    an absolute path\n"
        '    default:  "/var/run/xenstored"\n'
        "    variable: XENSTORED_RUNDIR\n"
        "    reload:   no, at the next start"
    )


def test_the_example_sets_nothing_and_shows_everything(xsd: Run, file: Path) -> None:
    """What stands in its comments are the defaults, and is right as it is."""
    text = xsd("config", "example").out.decode()

    assert list(tomllib.loads(text)) == ["daemon", "domains", "log", "quota", "timeout"]
    file.write_text(text)
    assert read_file(file) == {}
    file.write_text(re.sub(r"^#(?=[a-z])", "", text, flags=re.MULTILINE))
    found = read_file(file)
    assert found is not None
    assert set(found) == set(SETTINGS)
    for key, setting in SETTINGS.items():
        assert setting.default in (None, found[key])


@pytest.mark.parametrize("words", [["--help"], ["show", "--help"], ["check", "-h"]])
def test_help(xsd: Run, words: list[str]) -> None:
    """Of the command and of each of its own."""
    result = xsd("config", *words)

    assert result.status == 0
    assert result.out.startswith(b"usage: xsd config [-h] check|show|keys|example")
    assert b"\nexamples:\n  xsd config check" in result.out


@pytest.mark.parametrize("words", [[], ["nothing"], ["-x"]])
def test_misuse_is_status_1(xsd: Run, words: list[str]) -> None:
    """As of every command."""
    result = xsd("config", *words)

    assert (result.status, result.out) == (1, b"")
    assert result.err.startswith(b"usage: xsd config ")


def test_one_file_is_checked_at_a_time(xsd: Run) -> None:
    """Two have no meaning together."""
    assert xsd("config", "check", "a", "b") == Result(
        b"", b"xsd config: check takes one file\n", 1
    )
