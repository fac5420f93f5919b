"""`xsd config`: looking at the daemon's configuration."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import Result, Run
from xsd.daemon.configfile import read_file
from xsd.daemon.settings import SETTINGS

LONG = "/" + 107 * "x"
MOST = "bytes, a socket's path at most 107"
TOO_LONG = f"{{file}}: daemon.socket: {LONG} has 108 {MOST}"
BELOW_TOO_LONG = f"{{file}}: daemon.socket: {LONG}/socket has 115 {MOST}"
FINE = "[quota]\nnodes = 5\n"
WRONG = (
    "{file}: quota.nodes: -1 is not a whole number from 0 to 2147483647\n"
    "{file}: quota.cow: no such key; [quota] has nodes, watches, outstanding, memory,"
    " transactions, transaction-nodes, node-permissions, path-max, node-size"
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is used, which is not there yet."""
    found = tmp_path / "xsd.toml"
    monkeypatch.setattr("xsd.daemon.config.DEFAULT_FILE", found)
    for name in ("XSD_CONFIG", "XENSTORED_RUNDIR"):
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.mark.parametrize(
    ("text", "command", "status", "said"),
    [
        # Named, or the one that is used.
        (FINE, "check", 0, "{file} has no mistakes"),
        (FINE, "check {file}", 0, "{file} has no mistakes"),
        # Only one that is named has to be there.
        ("", "check", 0, "{file} is not there, nor needed"),
        ("", "check {file}", 2, "{file}: No such file or directory"),
        ("", "XSD_CONFIG={file} check", 2, "{file}: No such file or directory"),
        ("", "show --config {file}", 2, "{file}: No such file or directory"),
        # Every mistake, a line for each.
        ("[quota]\nnodes = -1\ncow = 1\n", "check {file}", 2, WRONG),
        # The environment does not cover it up: tomorrow's may be another.
        (f'[daemon]\nsocket = "{LONG}"\n', "check", 2, TOO_LONG),
        (f'[daemon]\nrundir = "{LONG}"\n', "check", 2, BELOW_TOO_LONG),
        # As of the daemon itself.
        ("", "show -E x", 2, "entry-nb: 'x' is no decimal number from 0 to 2147483647"),
        ("", "show cows", 2, "no arguments expected, got 'cows'"),
        ("", "check a b", 1, "xsd config: check takes one file"),
    ],
)
def test_what_is_said_of_a_configuration(
    xsd: Run,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    command: str,
    status: int,
    said: str,
) -> None:
    """To standard error, and with status 2, of a mistake of it."""
    if text:
        file.write_text(text)
    line = f"{said.format(file=file)}\n".encode()

    words = command.format(file=file).split()
    if "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).split("="))

    found = xsd("config", *words)

    assert found == (Result(b"", line, status) if status else Result(line))
    assert file.exists() == bool(text)


def test_what_contradicts_another_setting_is_warned_of(xsd: Run, file: Path) -> None:
    """To standard error; a warning is no mistake, and the status is 0."""
    file.write_text("[quota]\nmemory = 1000000\n")
    warning = (
        f"{file}: quota.soft.memory: 2097152 is over quota.memory, 1000000: nobody is"
        " remarked on in time\n"
    )

    found = xsd("config", "check")

    assert found == Result(f"{file} has no mistakes\n".encode(), warning.encode())


def test_settings_are_shown_with_their_sources(xsd: Run, file: Path) -> None:
    """In the form of a file: what is shown is what would be read."""
    file.write_text('[quota]\nnodes = 5\nwatches = 6\n[log]\nlevel = "debug"\n')

    result = xsd("config", "show", "-E", "7", "--socket", "/o/s")

    text = result.out.decode()
    assert (result.status, result.err) == (0, b"")
    assert text.startswith(f"# file: {file}\n")
    assert dict(re.findall(r"^(\S+) = .* # (.*)$", text, re.MULTILINE)).items() >= {
        ("nodes", "option: --entry-nb"),
        ("watches", "file"),
        ("level", "file"),
        ("transactions", "default"),
        ("socket", "option: --socket"),
    }
    file.write_bytes(result.out)
    found = read_file(file)
    assert found is not None
    assert (found["quota.nodes"], found["quota.watches"]) == (7, 6)
    assert found["daemon.socket"] == Path("/o/s")
    unset = {each.key for each in SETTINGS.values() if each.default is None}
    assert set(SETTINGS) - set(found) == unset
    assert "\n# pid-file is not set\n" in text


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

    sections = ["daemon", "domains", "log", "quota", "timeout", "journal"]
    assert list(tomllib.loads(text)) == sections
    file.write_text(text)
    assert read_file(file) == {}
    file.write_text(re.sub(r"^#(?=[a-z])", "", text, flags=re.MULTILINE))
    found = read_file(file)
    assert found is not None
    assert set(found) == set(SETTINGS)
    for key, setting in SETTINGS.items():
        assert setting.default in (None, found[key])
