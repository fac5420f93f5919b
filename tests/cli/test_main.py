"""xsd.cli.main: the subcommand is found, and what goes wrong is told."""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import xsd.protocol.frame
from tests.cli.conftest import Result, Run
from tests.support.daemons import client_environment, environment
from xsd.build import version_of
from xsd.cli.main import COMMANDS, ORIGINALS
from xsd.client import Client
from xsd.protocol.errors import Errno, XenStoreError

ROOT = str(Path(__file__).resolve().parents[2])

OTHERS = {"serve", "config", "state", "journal", "tape", "help"}
CLIENTS = [name for name in COMMANDS if name not in OTHERS]
LIMITED = [name for name in CLIENTS if name != "update"]
"""Those with one time limit; an update waits for two things."""

WORDS = {
    "write": ["/t/a", "1"],
    "chmod": ["/t", "n0"],
    "watch": ["-n", "1", "/t"],
    "health": [],
    "control": ["check"],
    "domain": ["list"],
    "update": ["/bin/true"],
}
SECONDS = "number of seconds over 0 and up to 3600"
LIMIT = "number of seconds up to 3600"


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
        ("state --help", "state [-h] dump|load|export|", "state diff state_dump"),
        ("tape --help", "tape [-h] show|replay FILE\n", "tape show ./record\n"),
        ("tape --help", "tape", "tape replay ./record\n"),
        *(
            ("journal --help", "journal [-h] [--yes] verify|dump|truncate", example)
            for example in (
                "journal verify\n",
                "journal dump ./journal | xsd tape show /dev/stdin\n",
                "journal truncate --yes ./journal\n",
            )
        ),
        ("help --help", "help", "help read "),
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
        *((words, "", "") for words in ("", "--", "--nothing read /t", "--socket")),
        ("raed /t", "", "xsd: no such command: raed (did you mean read?)"),
        ("zzzzz", "", "xsd: no such command: zzzzz"),
        ("--socket s", "", "xsd: which command? xsd help lists them"),
        ("help raed", "", "xsd: no such command: raed (did you mean read?)"),
        *((f"config {words}", "config ", "") for words in ("", "nothing", "-x")),
        *(
            (f"tape {words}", "tape [-h] show|replay FILE\n", "")
            for words in ("", "show", "eat record")
        ),
        *(
            (f"state {words}", "state [-h] dump|load|export|", "")
            for words in ("", "load", "eat f", "export", "convert f g h")
        ),
        *(
            (f"journal {words}", "journal [-h] ", "")
            for words in ("", "eat", "verify a b")
        ),
        ("chmod /t/a", "chmod ", ""),
        ("read", "read ", "xsd read: the following arguments are required: PATH"),
        ("read -x /t", "read ", "xsd read: unrecognized arguments: -x"),
        (
            "read --prefux /t",
            "read ",
            "unrecognized arguments: --prefux (did you mean --prefix?)",
        ),
        *(
            (f"read --timeout={text} /t", "read ", f"{text!r} is no {LIMIT}")
            for text in ("-1", "nan", "inf", "3601", "x", "")
        ),
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


def test_without_a_command_all_are_shown(xsd: Run) -> None:
    """Nothing was done, which is status 1; by `xsd help` they were asked for."""
    asked = xsd("help")
    assert asked == xsd("--help")
    assert (asked.status, asked.err) == (0, b"")

    assert xsd() == Result(b"", asked.out, 1)


def test_help_shows_that_of_a_command(xsd: Run) -> None:
    """Also that of the daemon, and of a command of a command."""
    for words in (["read"], ["serve"], ["config", "show"]):
        shown = xsd("help", *words)
        assert shown == xsd(*words, "--help")
        assert (shown.status, shown.err) == (0, b"")


@pytest.mark.parametrize("name", CLIENTS)
def test_missing_daemon_is_told(xsd: Run, tmp_path: Path, name: str) -> None:
    """With the path that was tried and what to do, by every client command."""
    path = str(tmp_path / "none")
    message = f"xsd {name}: no daemon listens at {path}: there is no such socket; start"

    result = xsd("--socket", path, name, *WORDS.get(name, ["/t"]))

    assert (result.status, result.out) == (1, b"")
    assert result.err.startswith(message.encode())


@pytest.mark.parametrize("name", LIMITED)
def test_stopped_daemon_is_noticed(
    xsd: Run, daemon_socket: Path, name: str, client: Client
) -> None:
    """By every client command, which ends."""
    client.write("/t/a", b"")
    pid = daemon_pid(daemon_socket)
    words = WORDS.get(name, ["/t"])
    os.kill(pid, signal.SIGSTOP)
    try:
        result = xsd(name, "--timeout", "0.1", *words)
    finally:
        os.kill(pid, signal.SIGCONT)

    assert (result.status, result.out) == (1, b"")
    said = "no answer" if name == "health" else "the daemon has not answered"
    assert result.err.startswith(f"xsd {name}: {said} within 0.1 s".encode())


def daemon_pid(path: Path) -> int:
    """Return the process at the other end of a socket."""
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(path))
        size = struct.calcsize("3i")
        found = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid: int = struct.unpack("3i", found)[0]
    return pid


def test_the_usual_time_limit_is_ten_seconds(called: Run) -> None:
    """The originals have none, and neither has who goes by their names."""
    assert b"0 for ever (default: 10)" in called("xsd", "read", "--help").out
    assert b"0 for ever (default: 0)" in called("xenstore-read", "--help").out


def test_a_watch_waits_for_events_without_a_limit(
    daemon_socket: Path, client: Client
) -> None:
    """The limit is for answers."""
    client.mkdir("/t")
    words = [sys.executable, "-m", "xsd", "watch", "-n", "2", "--timeout", "0.5", "/t"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, env=client_environment(daemon_socket)
    ) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline() == b"/t\n"
        with pytest.raises(subprocess.TimeoutExpired):
            watching.wait(1)
        client.write("/t", b"1")
        assert watching.stdout.readline() == b"/t\n"
        assert watching.wait(10) == 0


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
    assert called(name, "--version") == Result(f"{version_of('xsd')}\n".encode())


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
        b"", b"xsd rm: others kept changing the same nodes: try again\n", 1
    )


COSTLY = {
    "argparse",
    "asyncio",
    "collections",
    "contextlib",
    "dataclasses",
    "difflib",
    "enum",
    "functools",
    "gettext",
    "importlib",
    "inspect",
    "locale",
    "logging",
    "pathlib",
    "random",
    "re",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "ssl",
    "structlog",
    "subprocess",
    "types",
    "typing",
    "uvloop",
    "xsd.cli.full",
    "xsd.cli.reasons",
    "xsd.daemon",
    "xsd.engine",
}
"""What takes a short command as long as a part of the interpreter, or longer."""

MODULES_MAX = 35
"""More than the interpreter has loaded itself; each takes a third of a millisecond."""


def is_compiled() -> bool:
    """Tell whether mypyc has made the modules."""
    return not str(xsd.protocol.frame.__file__).endswith(".py")


@pytest.mark.parametrize(
    "words",
    [
        ["--socket", "{}", "read", "/t"],
        ["read", "-p", "/t", "/t"],
        ["write", "--timeout=5", "/t", "1"],
        ["list", "/t"],
        ["exists", "/t"],
        ["rm", "/t/none"],
        ["mkdir", "/t"],
        ["chmod", "/t", "n0"],
        ["watch", "-n", "1", "/t"],
        ["ls", "-fp", "/t"],
        ["tree", "/t"],
    ],
    ids=" ".join,
)
def test_client_commands_load_little(
    client: Client, daemon_socket: Path, words: list[str]
) -> None:
    """A hotplug script runs dozens of them: each must start at once."""
    client.write("/t", b"1")
    words = [word.format(daemon_socket) for word in words]
    program = (
        "import sys; before = set(sys.modules);"
        "from xsd.cli.main import main; status = main(sys.argv[1:]);"
        "print(*set(sys.modules) - before, file=sys.stderr); sys.exit(status)"
    )

    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.append({ROOT!r});" + program,
            *words,
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**environment(), "XENSTORED_PATH": str(daemon_socket)},
    )

    loaded = set(done.stderr.split())
    assert "xsd.client" in loaded
    if is_compiled():
        # Compiled modules find what they have in common by these.
        own = ("importlib", "_heapq", "heapq", "collections", "_collections")
        loaded -= {name for name in loaded if name.partition(".")[0] in own}
    assert loaded & COSTLY == set()
    assert len(loaded) <= MODULES_MAX
