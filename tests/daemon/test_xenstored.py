"""The commands `xenstored` and `xsd serve`, as far as the command line decides."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemons import environment
from xsd import build
from xsd.daemon import xenstored

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Call `xenstored` with words, as the console script does."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["/usr/sbin/xenstored", *words])
        return (xenstored.main(), *capsys.readouterr())

    return run


def test_help_is_printed_and_nothing_started(command: Command) -> None:
    """Each option has a line of at most 80 columns."""
    code, out, _ = command("--help")

    assert code == 0
    assert out.startswith("Usage: xenstored [option]...\n")
    assert "-F, --pid-file <file>" in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_version_is_printed_and_nothing_started(command: Command) -> None:
    """Scripts can ask which xenstored this is."""
    expected = build.version_of("xenstored (xsd)") + "\n"
    assert command("--version") == (0, expected, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("stop", "no arguments expected, got 'stop'"),
        ("-F", "-F/--pid-file needs an argument: <file>"),
        ("-E many", "entry-nb: 'many' is no decimal number from 0 to 2147483647"),
    ],
)
def test_a_wrong_command_line_is_told_and_nothing_started(
    command: Command, words: str, message: str
) -> None:
    """One line that begins with the program, exit code 2."""
    assert command(*words.split()) == (2, "", f"xenstored: {message}\n")


@pytest.mark.parametrize("fork", [[], ["-N"]])
def test_a_daemon_does_not_start_with_a_wrong_file(
    command: Command, tmp_path: Path, fork: list[str]
) -> None:
    """Code 2, and a line for each mistake."""
    file, path = tmp_path / "xsd.toml", tmp_path / "socket"
    file.write_text("[quota]\nnodes = -1\n[log]\nfiel = 1\n")

    told = command(*fork, "--config", str(file), "--socket", str(path))

    assert told[:2] == (2, "")
    assert told[2].replace(f"xenstored: {file}: ", "").splitlines() == [
        "quota.nodes: -1 is not a whole number from 0 to 2147483647",
        "log.fiel: no such key; did you mean log.file?",
    ]
    assert told[2].count(f"xenstored: {file}: ") == 2
    assert not path.exists()


def test_messages_of_xsd_serve_begin_with_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It shares all but the name, and that it never forks."""
    code = xenstored.serve(["--log-level", "loud"])

    assert code == 2
    assert capsys.readouterr().err.startswith("xsd serve: log-level: 'loud' is not")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--sokcet s", "unknown option '--sokcet' (did you mean --socket?)"),
        ("-N --zzzzz", "unknown option '--zzzzz'"),
        ("-NX", "unknown option '-X' in '-NX'"),
    ],
)
def test_xsd_serve_refuses_what_it_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, reason: str
) -> None:
    """People type it, and would not see that a setting is missing."""
    (tmp_path / "file").touch()
    code = xenstored.serve(["--socket", str(tmp_path / "file" / "s"), *words.split()])

    assert code == 2
    assert capsys.readouterr().err == f"xsd serve: {reason}\n"


def test_xenstored_ignores_what_it_does_not_know(
    command: Command, tmp_path: Path
) -> None:
    """Scripts for other versions start it."""
    (tmp_path / "file").touch()

    said = command("-N", "--sokcet", "s", "--socket", str(tmp_path / "file" / "s"))[2]

    assert "xenstored: ignored: unknown option '--sokcet'\n" in said


def test_xsd_serve_stays_in_the_foreground_and_names_ignored_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without -N; a start that fails is told by the same process, with code 1."""
    (tmp_path / "file").touch()

    code = xenstored.serve(["-V", "--socket", str(tmp_path / "file" / "s")])

    assert code == 1
    assert capsys.readouterr().err.splitlines() == [
        "xsd serve: ignored: -V/--verbose has no effect any more",
        f"xsd serve: cannot start: {tmp_path / 'file'}: File exists",
    ]


def test_sigterm_ends_a_daemon_that_does_not_serve_yet(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also as process 1 of a container, which has no default for signals."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*_: object, **__: object) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 1

    monkeypatch.setattr("xsd.daemon.main.run", run)
    try:
        with pytest.raises(SystemExit) as stopped:
            command("-N")
    finally:
        signal.signal(signal.SIGTERM, before)

    assert stopped.value.code == 0


def test_a_start_loads_nothing_that_is_not_used(tmp_path: Path) -> None:
    """Each package costs milliseconds of every start, and memory for good.

    structlog would load rich, if it is there, which is most of all.
    """
    rich = tmp_path / "rich"
    rich.mkdir()
    for name in ("__init__", "console", "traceback", "pretty"):
        (rich / f"{name}.py").write_text("Console = Traceback = None\n")
    idle = {"ctypes", "difflib", "hashlib", "rich", "tomllib"}
    program = (
        "import sys; from xsd.daemon.xenstored import serve;"
        "serve(['--check-state']); print(*sys.modules);"
        "import rich; assert rich.Console is None"
    )
    environ = environment()
    paths = [str(tmp_path), *sys.path, environ.get("PYTHONPATH", "")]
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environ,
    )

    _, loaded = done.stdout.splitlines()
    assert {"structlog", "uvloop", "xsd.daemon.main"} <= set(loaded.split())
    assert idle & set(loaded.split()) == set()
