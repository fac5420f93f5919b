"""xsd.cli.main: the subcommand is found, and what goes wrong is told."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Result, Run
from tests.support.daemons import environment
from xsd import __version__
from xsd.cli.main import COMMANDS, ORIGINALS
from xsd.client import Client
from xsd.protocol.errors import Errno, XenStoreError

CLIENTS = [name for name in COMMANDS if name not in {"serve", "config", "tape"}]
WORDS = {
    "write": ["/t/a", "1"],
    "chmod": ["/t", "n0"],
    "watch": ["-n", "1", "/t"],
    "health": [],
    "control": ["check"],
    "domain": ["list"],
}
SECONDS = "number of seconds over 0 and up to 3600"


def test_help_lists_the_commands(xsd: Run) -> None:
    """With a line for each."""
    result = xsd("--help")

    assert (result.status, result.err) == (0, b"")
    assert result.out.startswith(b"usage: xsd [-h] [--socket PATH] [--version] COMMAND")
    for name, (_, text) in COMMANDS.items():
        assert re.search(rb"\n  %b +%b\n" % (name.encode(), text.encode()), result.out)


@pytest.mark.parametrize(
    ("words", "usage", "example"),
    [
        *((f"{name} --help", f"{name}", f"{name}") for name in CLIENTS),
        *(
            (f"config {words}", "config [-h] check|show|keys|example", "config check")
            for words in ("--help", "show --help", "check -h")
        ),
        ("tape --help", "tape [-h] show|replay FILE\n", "tape show ./record\n"),
        ("tape --help", "tape", "tape replay ./record\n"),
    ],
)
def test_each_command_has_help_with_examples(
    xsd: Run, words: str, usage: str, example: str
) -> None:
    """And its own name in them."""
    result = xsd(*words.split())

    assert (result.status, result.err) == (0, b"")
    assert result.out.startswith(f"usage: xsd {usage}".encode())
    _, _, examples = result.out.partition(b"\nexamples:\n")
    assert f"  xsd {example}".encode() in examples


@pytest.mark.parametrize(
    ("words", "usage", "reason"),
    [
        *((words, "", "") for words in ("", "nothing", "--nothing read /t")),
        *((f"config {words}", "config ", "") for words in ("", "nothing", "-x")),
        *(
            (f"tape {words}", "tape [-h] show|replay FILE\n", "")
            for words in ("", "show", "eat record")
        ),
        ("chmod /t/a", "chmod ", ""),
        ("read", "read ", "xsd read: the following arguments are required: PATH"),
        ("read -x /t", "read ", "xsd read: unrecognized arguments: -x"),
        ("write /t/a 1 /t/b", "write ", "xsd write: no value for path /t/b"),
        # xenstore-watch takes any word for 0, and ends without having watched.
        ("watch -n x /t", "watch ", "invalid int value: 'x'"),
        # A check without an end would be none.
        *(
            (f"health --timeout={text}", "health ", f"{text!r} is no {SECONDS}")
            for text in ("0", "-1", "nan", "inf", "3601", "x", "")
        ),
    ],
)
def test_misuse_exits_with_status_1(
    xsd: Run, words: str, usage: str, reason: str
) -> None:
    """As the xenstore-* tools do; the usage and the reason are shown."""
    result = xsd(*words.split())

    assert (result.status, result.out) == (1, b"")
    assert result.err.startswith(f"usage: xsd {usage}".encode())
    assert result.err.endswith(f"{reason}\n".encode())


@pytest.mark.parametrize("name", CLIENTS)
def test_missing_daemon_is_told(xsd: Run, tmp_path: Path, name: str) -> None:
    """With the path that was tried, by every client command."""
    path = str(tmp_path / "none")
    message = f"xsd {name}: no XenStore daemon listens at {path}: "

    result = xsd("--socket", path, name, *WORDS.get(name, ["/t"]))

    assert (result.status, result.out) == (1, b"")
    assert result.err == message.encode() + b"No such file or directory\n"


@pytest.mark.parametrize("name", ORIGINALS)
def test_help_has_the_name_of_the_original_if_called_by_it(
    called: Run, name: str
) -> None:
    """As what it complains of, which test_agreement compares."""
    program = f"xenstore-{name}"
    usage = f"usage: {program} [-h] [--socket PATH]".encode()

    assert called(program, "--help").out.startswith(usage)


@pytest.mark.parametrize(
    "name", ["xsd", "xenstore-serve", "xenstore-", "xenstore", "other"]
)
def test_other_names_are_those_of_xsd(called: Run, name: str) -> None:
    """A copy of the program may be called as one likes; there is no xenstore-serve."""
    assert called(name, "--version") == Result(f"xsd {__version__}\n".encode())


def test_socket_wins_over_the_environment(
    xsd: Run, client: Client, daemon_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given before the command or after it."""
    client.write("/t", b"1")
    monkeypatch.setenv("XENSTORED_PATH", "/none")

    assert xsd("--socket", str(daemon_socket), "read", "/t") == Result(b"1\n")
    assert xsd("read", "--socket", str(daemon_socket), "/t") == Result(b"1\n")


def test_refusal_that_no_command_explains_is_told(
    xsd: Run, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback is for our own mistakes."""
    client.write("/t/a", b"")

    def refuse(*_: object) -> None:
        raise XenStoreError(Errno.EAGAIN, "TRANSACTION_END refused")

    monkeypatch.setattr(Client, "run_transaction", refuse)

    assert xsd("rm", "-t", "/t/a") == Result(
        b"", b"xsd rm: EAGAIN: TRANSACTION_END refused\n", 1
    )


def test_client_commands_import_nothing_of_the_daemon() -> None:
    """A hotplug script runs dozens of them: each must start at once."""
    program = (
        "import sys; before = set(sys.modules);"
        "from xsd.cli.main import main; main(['read', '/t']);"
        "print(*set(sys.modules) - before)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**environment(), "XENSTORED_PATH": "/none"},
    )

    loaded = set(done.stdout.split())
    assert "xsd.client" in loaded
    assert loaded.isdisjoint(
        {"asyncio", "random", "ssl", "structlog", "uvloop", "xsd.daemon", "xsd.engine"}
    )
