"""A shell that types what a page says."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self, final

from tests.conftest import find_program
from tests.docs.pages import ROOT, Block, Command, commands_of
from tests.peers.programs import PACKAGE, PLACE
from tests.support.daemons import environment

PATIENCE_S: Final = 60.0
"""Most seconds of silence from a command that has not ended."""

_SHELL: Final = ("/bin/bash", "--noprofile", "--norc")

_PROGRAMS: Final = {
    "xsd": "xsd",
    "xenstored": "xsd.daemon.xenstored",
    "pytest": "pytest",
}
"""What a page finds by name -> the module that it is."""

_XEN: Final = {
    "xenstore-control": (str(PLACE / "xenstore-control"), PACKAGE),
    **{
        f"xenstore-{name}": (f"/usr/bin/xenstore-{name}", "xenstore-utils")
        for name in ("chmod", "exists", "list", "ls", "read", "rm", "watch", "write")
    },
}
"""Xen's own tools -> where Debian has them, and in which package."""

_NOT_COPIED: Final = shutil.ignore_patterns(
    ".*", "__pycache__", "build", "dist", "run", "htmlcov", "node_modules"
)


def prepare(scratch: Path, text: str) -> None:
    """Make a directory look like a checkout whose `make serve` has been run once."""
    if any(word in text for word in ("make ", "benchmarks", "examples/", "systemd/")):
        shutil.copytree(
            ROOT, scratch, symlinks=True, ignore=_NOT_COPIED, dirs_exist_ok=True
        )
    programs = scratch / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, module in _PROGRAMS.items():
        _write_program(programs / name, f'-m {module} "$@"')
    _write_program(programs / "python", '"$@"')
    for stamp in (".serve", ".develop"):
        (scratch / ".venv" / stamp).touch()
    for name, (path, package) in _XEN.items():
        if name in text:
            (programs / name).symlink_to(find_program(path, package))


def _write_program(path: Path, words: str) -> None:
    # Not what the working directory has, but what is under test.
    path.write_text(f"#!/bin/sh\nexec '{sys.executable}' -P {words}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def environment_of(scratch: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environment().items()
        if not name.startswith(("XENSTORED_", "XSD_", "PYTEST_", "MAKE", "COV_"))
    }
    return {
        **kept,
        "PATH": f"{scratch / '.venv' / 'bin'}:{kept.get('PATH', os.defpath)}",
        "HOME": str(scratch),
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "80",
        # That would take minutes of a processor.
        "COMPILE": "no",
        # A reader has pytest and none of its plugins.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def pattern_of(expected: str) -> re.Pattern[str]:
    """What a page says is printed: `...` is any text of a line, or any lines."""
    pattern = ""
    for line in expected.splitlines(keepends=True):
        if line == "...\n":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += re.escape(line).replace(re.escape("..."), r"[^\n]*")
    return re.compile(pattern)


@final
class Terminal:
    """A shell in a directory; leaving it ends everything that it has started.

    Attributes:
        seen: What was expected last, as it was printed.
    """

    def __init__(
        self,
        scratch: Path,
        environ: dict[str, str],
        shell: Sequence[str] = _SHELL,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._shell = subprocess.Popen(
            shell,
            cwd=scratch,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._printed = b""
        self._count = 0
        self.seen = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Not SIGINT, which who is started in the background ignores.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGTERM)
        while self._more():
            pass  # until nobody has this end of the pipe, or what is left is silent
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait(PATIENCE_S)
        for stream in (self._shell.stdin, self._shell.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def run(self, command: str) -> tuple[str, int]:
        self._count += 1
        end = f"--- end of {self._count}: "
        self._type(f"{command}\nprintf '\\n{end}%d\\n' $?\n")
        pattern = re.compile(rf"\n{end}(\d+)\n".encode())
        while (found := pattern.search(self._printed)) is None:
            self._receive(command)
        printed = self._printed[: found.start()].decode("utf-8", "backslashreplace")
        self._printed = self._printed[found.end() :]
        # Blank lines at the end cannot be seen on a page.
        printed = printed.rstrip("\n")
        return (f"{printed}\n" if printed else ""), int(found[1])

    def leave(self, command: str, expected: str) -> None:
        """Type a command that goes on, and wait until it has printed what it should."""
        # Its end is that of the terminal, so that nobody waits for what cannot come.
        self._type(f"{command}\nexit\n")
        self.expect(expected)

    def expect(self, expected: str) -> None:
        """Wait until a command that goes on prints this next."""
        pattern = pattern_of(expected)
        while (found := pattern.match(self._printed.decode())) is None:
            self._receive(expected)
        self.seen = found[0]
        self._printed = self._printed.decode()[found.end() :].encode()

    def _type(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text.encode())
        self._shell.stdin.flush()

    def _receive(self, command: str) -> None:
        data = self._more()
        if not data:
            printed = self._printed.decode()
            raise AssertionError(f"{command}: no end, after\n{printed}")
        self._printed += data

    def _more(self) -> bytes:
        """What is printed next; nothing at the end, or after long silence."""
        assert self._shell.stdout is not None
        if not select.select([self._shell.stdout], [], [], self._patience_s)[0]:
            return b""
        return os.read(self._shell.stdout.fileno(), 65536)


def type_all(
    blocks: list[Block],
    scratch: Path,
    open_: Callable[[], Terminal],
    before: Callable[[Block], object] = lambda _: None,
) -> None:
    """Type blocks in their order, in one terminal and those that they name."""
    with contextlib.ExitStack() as held:
        terminals = {}
        for block in blocks:
            for name in (block.noted("in another terminal"), ""):
                if name is not None and name not in terminals:
                    terminals[name] = held.enter_context(open_())
        for block in blocks:
            before(block)
            follow(block, scratch, terminals)


def follow(block: Block, scratch: Path, terminals: dict[str, Terminal]) -> None:
    other = block.noted("in another terminal")
    seen = block.noted("seen there")
    fields = block.noted("fields seen there")
    name = block.noted("file")
    if seen is not None:
        terminals[seen].expect(block.text)
    elif fields is not None:
        line = terminals[fields].seen
        absent = [each for each in block.text.splitlines() if not has_field(line, each)]
        assert not absent, f"{block.where}: {absent} not in {line}"
    elif other is not None:
        leave(terminals[other], block)
    elif block.language == "console":
        for command in commands_of(block):
            type_in(terminals[""], block, command)
    elif name is not None:
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_text(block.text)
    elif block.language == "python" and block.noted("excerpt") is None:
        (scratch / ".block.py").write_text(block.text)
        type_in(terminals[""], block, Command("python .block.py", ""))


def has_field(line: str, field: str) -> bool:
    """Tell whether a line of the log, which is JSON here, has a field `name=value`."""
    name, _, value = field.partition("=")
    logged = json.loads(line).get(name)
    wanted = pattern_of(value.strip("'\""))
    return logged is not None and wanted.fullmatch(str(logged)) is not None


def type_in(terminal: Terminal, block: Block, command: Command) -> None:
    """Run a command and compare what it prints."""
    printed, status = terminal.run(command.text)
    assert status == 0, f"{block.where}: {command.text}: {status}\n{printed}"
    assert pattern_of(command.printed).fullmatch(printed), (
        f"{block.where}: {command.text}\nprints:\n{printed}"
        f"and the page says:\n{command.printed}"
    )


def leave(terminal: Terminal, block: Block) -> None:
    *others, last = commands_of(block)
    for command in others:
        type_in(terminal, block, command)
    terminal.leave(last.text, last.printed)
