"""`xsd control`, compared with xenstore-control, and what it says of refusals."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Result, Run
from tests.conformance.programs import Tools
from tests.support.daemons import start_c_peer, start_xsd
from xsd.cli.control import COMMANDS

AGREED = """
help; help x; check; check 0; print; print a; print a b; log; log off; log +wrl;
log -wrl; log x; logfile; logfile a b; logfile /no/such/directory/log; memreport a b;
memreport /; quota; quota 0; quota 99; quota x; quota max; quota max -r; quota max x;
quota set nodes 7; quota set nodes; quota set nodes 0; quota set cows 5;
quota-soft; quota-soft set memory 5; quota-soft set nodes 5; quota-soft 0; bogus; '';
-x; live-update; live-update -F; live-update -c; live-update -t; live-update a b;
live-update -F /bin/absent; live-update -c 'a b' -t 5 /bin/false; live-update /bin
"""

COMMAND_LINES = [shlex.split(line) for line in AGREED.replace("\n", " ").split(";")]

USAGE = "it is to be called as: xsd control"
QUOTAS = (
    "nodes, watches, outstanding, memory, transactions, transaction-nodes,"
    " node-permissions, path-max, node-size"
)
REFUSED = {
    "bogus": f"no such command; there are {', '.join(COMMANDS)}",
    "check 0": f"{USAGE} check",
    "print": f"{USAGE} print TEXT",
    "log x": "takes on, off, or + or - and one of obj, io, wrl, acc, tdb",
    "log +x": "takes on, off, or + or - and one of obj, io, wrl, acc, tdb",
    "logfile": f"{USAGE} logfile FILE",
    "logfile /no/such/log": "the daemon cannot write there: No such file or directory",
    "memreport /": "the daemon cannot write there: Invalid argument",
    "quota 99": "there is no domain 99",
    "quota x": f"{USAGE} quota [DOMID|max [-r]|set NAME VALUE]",
    "quota max x": f"{USAGE} quota [DOMID|max [-r]|set NAME VALUE]",
    "quota set cows 5": f"there is no such quota; there are {QUOTAS}",
    "quota set nodes 0": "'0' is no whole number from 1 on",
    "quota-soft set nodes 5": "there is no such quota; there are memory",
    "quota-soft x": f"{USAGE} quota-soft [set NAME VALUE]",
    "live-update /f": "File not accessible.",
    "live-update": f"{USAGE} live-update [-c WORDS] [-F] [-t SECONDS] FILE",
}


@pytest.fixture(scope="module")
def daemon_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """That of a daemon of ours: others have other commands."""
    with start_xsd(tmp_path_factory.mktemp("xs")) as daemon:
        yield daemon.socket


def original(words: list[str], socket: Path) -> Result:
    """Run Xen's own xenstore-control, and return what it did."""
    done = Tools(str(socket)).control(*words)
    return Result(done.out, done.err, done.code)


@pytest.mark.parametrize("words", COMMAND_LINES, ids=shlex.join)
def test_it_does_what_the_original_does(
    called: Run, xsd: Run, daemon_socket: Path, words: list[str]
) -> None:
    """Output and exit status are the same; by the same name, the errors are, too."""
    expected = original(words, daemon_socket)

    assert called("xenstore-control", *words) == expected
    found = xsd("control", *words)
    # Nothing is left out of a command line here, but for the file of an update.
    if expected.status != 2 and words != ["-x"]:
        assert (found.out, found.status) == (expected.out, expected.status)
        assert bool(found.err) == bool(expected.err)


def test_without_a_command_it_tells_how_to_be_called(
    called: Run, xsd: Run, daemon_socket: Path
) -> None:
    """With the original's exit status."""
    assert called("xenstore-control") == original([], daemon_socket)
    found = xsd("control")
    assert (found.out, found.status) == (b"", 2)
    assert found.err.startswith(
        b"usage: xsd control [-h] [--socket PATH] [-s] [--timeout SECONDS] COMMAND"
    )


def test_without_a_daemon_it_says_what_the_original_says(
    called: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name; else as all our commands do."""
    none = tmp_path / "none"
    monkeypatch.setenv("XENSTORED_PATH", str(none))
    assert called("xenstore-control", "check") == original(["check"], none)


@pytest.mark.parametrize("line", REFUSED)
def test_a_refusal_is_told_with_its_reason(xsd: Run, line: str) -> None:
    """The daemon answers with a number, which is none."""
    words = shlex.split(line)
    message = f"xsd control: {line}: {REFUSED[line]}\n"

    assert xsd("control", *words) == Result(b"", message.encode(), 3)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(xsd: Run, name: str) -> None:
    """With the words that it takes; `-h` is nothing that the daemon is asked."""
    found = xsd("control", name, "--help")

    usage = f"usage: xsd control {name} {COMMANDS[name].usage}".rstrip()
    assert (found.err, found.status) == (b"", 0)
    assert found.out.startswith(f"{usage}\n".encode())
    assert found == xsd("control", name, "-h")
    assert f"  {name:<11} {COMMANDS[name].text}\n".encode() in xsd("control", "-h").out


def test_the_commands_are_those_of_the_daemon(xsd: Run) -> None:
    """And the update that xenstore-control has; but not what `xsd state` is for."""
    told = xsd("control", "help").out.decode().split("\n")
    names = {line.partition("\t")[0] for line in told} - {""}

    assert set(COMMANDS) == names - {"state"} | {"live-update"}
    assert "state" in names


def test_a_file_is_written_by_the_daemon(xsd: Run, tmp_path: Path) -> None:
    """Where it is told to."""
    report = tmp_path / "report"

    assert xsd("control", "memreport", str(report)) == Result(b"OK\n")
    assert "resident_bytes" in report.read_text()


@pytest.mark.slow
def test_other_daemons_have_commands_of_their_own(
    xsd: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Xen's C daemon has other quotas and switches, and could be replaced."""
    with start_c_peer(tmp_path_factory.mktemp("xs")) as daemon:

        def refused(line: str) -> str:
            found = xsd("--socket", str(daemon.socket), "control", *line.split())
            assert (found.out, found.status) == (b"", 3)
            return found.err.decode().removeprefix(f"xsd control: {line}: ").rstrip()

        assert refused("log x") == "takes on or off"
        assert refused("quota set cows 5").endswith(", permissions")
        assert refused("quota 5") == "there is no domain 5"
        assert refused("live-update /f") == "File not accessible."
        assert xsd("--socket", str(daemon.socket), "control", "check").out == b"OK\n"
