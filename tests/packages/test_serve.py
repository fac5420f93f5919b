"""`make serve` runs what is compiled only if it was made of the sources there are."""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, final

import pytest

from packages import serve
from tests.docs.pages import ROOT
from tests.support.daemons import PATIENCE_S, environment
from tests.support.processes import wait_until

VERSION: Final = '__version__ = "{}"\n'

COMPILER: Final = """
import os, pathlib, subprocess, sys, time

def mypycify(words, **options):
    if "waits" in os.environ.get("COMPILER", ""):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        pathlib.Path("../waits").touch()
        time.sleep(600)
    if "fails" in os.environ.get("COMPILER", ""):
        sys.exit("it fails")
    pathlib.Path("xsd/__init__.py").write_text('__version__ = "compiled"\\n')
    return []
"""
"""Stands in for mypyc: what it has compiled says so by its version."""

SETUPTOOLS: Final = """
class Distribution:
    def __init__(self, _): pass
    def get_command_obj(self, _): return self
    def finalize_options(self): pass
    def run(self): pass
"""


@final
class Checkout:
    """Sources of the daemon, with a compiler that takes no time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copytree(ROOT / "xsd", path / "xsd", ignore=ignored)
        (path / "packages").mkdir()
        for name in ("pyproject.toml", "packages/serve.py"):
            shutil.copy(ROOT / name, path / name)
        self.place = serve.Place(path)
        self.folder = self.place._folder
        tools = self.folder / "tools"
        (tools / "mypyc").mkdir(parents=True)
        (tools / "mypyc" / "__init__.py").touch()
        (tools / "mypyc" / "build.py").write_text(COMPILER)
        (tools / "setuptools.py").write_text(SETUPTOOLS)
        self.running: list[subprocess.Popen[str]] = []

    def edit(self, version: str) -> None:
        (self.path / "xsd" / "__init__.py").write_text(VERSION.format(version))

    def start(self, **environ: str) -> tuple[str, Mapping[str, object]]:
        """Start a daemon; return the lines before its log, and the first of that."""
        process = subprocess.Popen(
            [sys.executable, "-P", "packages/serve.py", "--socket", "socket"],
            cwd=self.path,
            env={**environment(), "PYTHONPATH": ".", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.running.append(process)
        said = ""
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                return said, json.loads(line)
            said += line
        raise AssertionError(said)

    def wait(self) -> None:
        """Wait until it is compiled."""
        wait_until(lambda: self.place.ready() is not None, "it is not compiled")

    def end(self, number: int = signal.SIGINT) -> None:
        """As Ctrl-C does in a terminal."""
        process = self.running.pop()
        os.killpg(process.pid, number)
        process.communicate(timeout=PATIENCE_S)
        wait_until(lambda: not group(process.pid), "something goes on")


def ignored(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__" or name.endswith(".so")}


def group(leader: int) -> list[str]:
    """Return what still runs of a group of processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, fields = path.read_text().rpartition(")")
        except OSError:
            continue
        state, _parent, leads = fields.split()[:3]
        if int(leads) == leader and state != "Z":
            found.append(name)
    return found


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    found = Checkout(tmp_path)
    yield found
    while found.running:
        found.end(signal.SIGKILL)


def test_the_key_tells_all_sources_apart(tmp_path: Path) -> None:
    """And nothing else: neither what Python makes of them, nor an editor."""
    folder = tmp_path / "xsd"
    (tmp_path / "protocol").mkdir()
    folder.mkdir()
    (folder / "protocol").symlink_to("../protocol")
    keys = []
    for name, text in [
        ("xsd/a.py", "a"),
        ("xsd/a.py", "b"),
        ("xsd/b.py", ""),
        ("protocol/a.py", "a"),
    ]:
        (tmp_path / name).write_text(text)
        keys.append(serve.key_of(serve.sources_of(tmp_path)))
    (folder / "a.so").touch()
    (folder / "__pycache__").mkdir()
    (folder / ".#a.py").symlink_to("nowhere")

    assert len(set(keys)) == 4
    assert serve.key_of(serve.sources_of(tmp_path)) == keys[-1]
    assert set(serve.sources_of(tmp_path)) == {
        *("xsd/a.py", "xsd/b.py", "xsd/protocol/a.py")
    }


@pytest.mark.slow
def test_the_next_start_is_compiled_and_an_edited_source_never_missed(
    checkout: Checkout,
) -> None:
    """The first serves at once; each says in one line what it does for the next."""
    checkout.edit("sources")
    said, first = checkout.start(COMPILE="yes")
    checkout.wait()
    checkout.end()
    silent, second = checkout.start(COMPILE="yes")
    checkout.end()
    checkout.edit("edited")
    again, third = checkout.start(COMPILE="yes")
    checkout.end()
    checkout.edit("sources")
    _, fourth = checkout.start()

    assert said.startswith("Compiling in the background (")
    assert "the next start is faster" in said
    assert said.count("\n") == again.count("\n") == 1
    assert silent == ""
    versions = [line["version"] for line in (first, second, third, fourth)]
    assert versions == ["sources", "compiled", "edited", "compiled"]


@pytest.mark.slow
def test_ctrl_c_ends_the_compiler_as_well(checkout: Checkout) -> None:
    """Nothing is left half done: who starts then compiles anew."""
    said, _ = checkout.start(COMPILE="yes", COMPILER="waits")
    wait_until((checkout.folder / "waits").exists, "it does not compile")
    checkout.end()
    found = checkout.place.ready()
    _, line = checkout.start(COMPILE="yes")
    checkout.wait()

    assert "which failed" not in said
    assert found is None
    assert not checkout.place.has_failed()
    assert line["version"] != "compiled"


@pytest.mark.slow
def test_a_second_start_leaves_the_compiler_alone(checkout: Checkout) -> None:
    """Whoever is second serves as well, and there is one compiler."""
    checkout.start(COMPILE="yes", COMPILER="waits")
    waits = checkout.folder / "waits"
    wait_until(waits.exists, "it does not compile")
    first = checkout.running.pop()
    os.kill(first.pid, signal.SIGTERM)  # the daemon alone
    first.wait(PATIENCE_S)
    waits.unlink()
    said, line = checkout.start(COMPILE="yes", COMPILER="waits")
    second = checkout.running[-1].pid
    left = group(first.pid)
    checkout.running.append(first)
    wait_until(lambda: len(group(second)) == 1, "there are two compilers")

    assert line["event"] == "daemon.serving"
    assert said.startswith("Compiling in the background (")
    assert len(left) == 2
    assert not waits.exists()


@pytest.mark.slow
def test_what_cannot_be_compiled_is_said_at_the_next_start(checkout: Checkout) -> None:
    """The daemon serves all the same, and what was wrong is in a file."""
    _, line = checkout.start(COMPILE="yes", COMPILER="fails")
    wait_until(checkout.place.has_failed, "it does not fail")
    checkout.end()
    said, _ = checkout.start(COMPILE="yes")
    wait_until(lambda: not checkout.place.has_failed(), "it fails again")

    assert line["event"] == "daemon.serving"
    assert said.startswith("Compiling in the background, which failed the last time (")
    assert "it fails" in checkout.place.log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("wanted", ["no", ""])
def test_nothing_is_compiled_that_is_not_wanted(
    checkout: Checkout, wanted: str
) -> None:
    """`make serve COMPILE=no`, and a daemon that follows another."""
    said, line = checkout.start(COMPILE=wanted)

    assert (said, line["event"]) == ("", "daemon.serving")
    assert not checkout.place.log.exists()


def test_without_a_compiler_it_is_said_what_to_install(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In one line, by the names of packages; then nothing is tried."""
    monkeypatch.setenv("CC", "/none/gcc -pthread")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    dev = f"python{sys.version_info[0]}.{sys.version_info[1]}-dev"

    said = serve.prepare(checkout.place)
    (tmp_path / "Python.h").touch()
    monkeypatch.setenv("CC", sys.executable)

    assert said.endswith(f"(Debian, Ubuntu): apt-get install gcc {dev}")
    assert "\n" not in said
    assert not checkout.place.log.exists()
    assert serve.lacking() == []


def test_few_are_kept(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were in use last: a daemon may still import from them."""
    monkeypatch.chdir(checkout.path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(checkout.place, "_make", lambda _: None)
    done = []
    for number in range(5):
        checkout.edit(str(number))
        assert checkout.place.compile()
        found = checkout.place.ready()
        assert found is not None
        os.utime(found, (number, number))
        done.append(found)

    assert [each.exists() for each in done] == [False, False, True, True, True]


@pytest.mark.pure_only  # takes mypy, which is not where compiled modules are tried
@pytest.mark.slow
def test_modules_are_compiled_indeed(tmp_path: Path) -> None:
    """Those that a wheel has compiled, with the compilers that there are."""
    (tmp_path / "xsd" / "store").mkdir(parents=True)
    for name in ("xsd/__init__.py", "xsd/store/__init__.py", "xsd/client.py"):
        (tmp_path / name).touch()
    (tmp_path / "xsd" / "store" / "tree.py").write_text("def two() -> int: return 2\n")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    place = serve.Place(tmp_path)
    (place._folder / "tools").mkdir(parents=True)
    code = "import sys; from pathlib import Path; from packages.serve import Place; "
    code += "Place(Path(sys.argv[1])).compile()"

    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, check=True)

    found = place.ready()
    assert found is not None
    code = "from xsd.store import tree; from xsd import client; "
    code += "print(tree.two(), tree.__file__, client.__file__)"
    words = [sys.executable, "-c", code]
    two, compiled, pure = subprocess.check_output(words, cwd=found, text=True).split()
    assert (two, Path(compiled).suffix, Path(pure).suffix) == ("2", ".so", ".py")
    assert Path(compiled).is_relative_to(found)
    beside = {each.name for each in found.iterdir() if each.suffix != ".so"}
    assert beside == {"xsd"}
    assert sorted(each.name for each in place._folder.iterdir()) == [
        *("done", "lock", "tools")
    ]
