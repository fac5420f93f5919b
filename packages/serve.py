"""The daemon of `make serve`: compiled if that was done before, else for the next time.

    python -P packages/serve.py OPTION...     be the daemon, with these options
    python -P packages/serve.py compile       compile what there is now

What is compiled lies in directories that are named after the contents of all sources,
and that get their names when they are complete: a daemon runs the sources as they are,
or modules that were made of the very same. If COMPILE is `yes`, which is not handed on,
one that is missing is made in the background, in a minute or two of one processor.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final, final

ROOT: Final = Path(__file__).resolve().parent.parent

COMPILE: Final = "compile"

KEPT: Final = 2
"""Directories that are kept beside a new one: a daemon may still run from one."""

OPT_LEVEL: Final = "1"
"""Of the C compiler: 2 takes twice as long, and makes a hundredth of difference."""


@final
class Place:
    """Where compiled modules are made and found.

    Args:
        root: Has the folder `xsd` and `pyproject.toml`.

    Attributes:
        log: What was said when they were made last.
    """

    def __init__(self, root: Path) -> None:
        project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
        hooks = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
        self._settings = hooks["mypyc"]
        self._root = root
        made_by = (sys.version, sysconfig.get_platform(), repr(self._settings))
        own = Path(__file__).read_bytes()
        name = _digest([*map(str.encode, made_by), own])
        self._folder = root / "build" / "serve" / name
        self.log = self._folder.parent / "log"
        self._between = self._folder / "between"
        self._done = self._folder / "done"
        self._failed = self._folder / "failed"

    def ready(self) -> Path | None:
        """Return what is to be imported from, for the sources as they are now."""
        found = self._done / key_of(sources_of(self._root))
        return found if found.is_dir() else None

    def has_failed(self) -> bool:
        """Tell whether the last time ended with an error."""
        return self._failed.exists()

    def compile(self) -> bool:
        """Make what is missing, unless somebody else is at it: then return False."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            try:
                if self.ready() is None:
                    self._compile(sources_of(self._root))
            except (Exception, SystemExit):
                self._failed.touch()
                raise
            self._failed.unlink(missing_ok=True)
        return True

    def _compile(self, sources: Mapping[str, bytes]) -> None:
        begin = time.monotonic()
        self._find_tools()
        part = self._folder / "part"
        for old in (part, self._between):
            shutil.rmtree(old, ignore_errors=True)
            old.mkdir()
        for name, contents in sources.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(contents)
        os.chdir(part)
        self._make(sources)
        shutil.rmtree(self._between)
        self._done.mkdir(exist_ok=True)
        older = sorted(self._done.iterdir(), key=lambda each: each.stat().st_mtime)
        done = part.rename(self._done / key_of(sources))
        for each in older[:-KEPT]:
            shutil.rmtree(each)
        print(f"Compiled in {time.monotonic() - begin:.0f} s: {done}")

    def _find_tools(self) -> None:
        """Have the compiler where nobody else imports it from."""
        tools = self._folder / "tools"
        if not tools.is_dir():
            part = self._folder / "tools.part"
            shutil.rmtree(part, ignore_errors=True)
            needed = [
                word for word in self._settings["dependencies"] if "hatch" not in word
            ]
            words = [sys.executable, "-m", "pip", "install", "--quiet", "--target"]
            subprocess.run([*words, str(part), "setuptools", *needed], check=True)
            part.rename(tools)
        sys.path.insert(0, str(tools))

    def _make(self, sources: Iterable[str]) -> None:
        """Compile in the working directory."""
        from mypyc.build import mypycify  # noqa: PLC0415
        from setuptools import Distribution  # noqa: PLC0415

        meant = [name for name in sources if self._is_meant(name)]
        between = str(self._between)
        extensions = mypycify(
            ["--cache-dir", between, *self._settings["mypy-args"], *sorted(meant)],
            opt_level=OPT_LEVEL,
            debug_level="0",
            target_dir=between,
        )
        made = Distribution({"name": "xsd", "ext_modules": extensions})
        building = made.get_command_obj("build_ext")
        building.inplace = True
        building.build_lib = building.build_temp = between
        building.finalize_options()
        building.run()

    def _is_meant(self, name: str) -> bool:
        included, excluded = self._settings["include"], self._settings["exclude"]
        return name not in excluded and any(map(PurePath(name).match, included))


def sources_of(root: Path) -> dict[str, bytes]:
    """Return what belongs to the package: the path below the root -> the contents."""
    found = {}
    for folder, _, names in os.walk(root / "xsd", followlinks=True):
        for name in names:
            path = Path(folder) / name
            # An editor's lock may be a link that leads nowhere.
            if path.suffix in {".py", ".typed"} and path.is_file():
                found[str(path.relative_to(root))] = path.read_bytes()
    return found


def key_of(sources: Mapping[str, bytes]) -> str:
    """Return a name for the contents of all sources."""
    return _digest(
        part for name in sorted(sources) for part in (name.encode(), sources[name])
    )


def lacking() -> list[str]:
    """Return the Debian packages without which nothing can be compiled here."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    found = [] if shutil.which(compiler.split()[0]) else ["gcc"]
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        found.append("python{}.{}-dev".format(*sys.version_info))
    return found


def prepare(place: Place) -> str:
    """Have modules compiled for the next start; return what to tell who starts this."""
    packages = lacking()
    if packages:
        return (
            "It is pure Python; the next start is faster, as it is compiled, after"
            f" (Debian, Ubuntu): apt-get install {' '.join(packages)}"
        )
    place.log.parent.mkdir(parents=True, exist_ok=True)
    failed = ", which failed the last time" if place.has_failed() else ""
    with place.log.open("a") as log:
        # It leaves us at once, but not the group of processes that Ctrl-C ends.
        words = [sys.executable, "-P", __file__, COMPILE]
        subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True
        )
    return (
        f"Compiling in the background{failed} ({place.log}): the next start is faster"
    )


def main(words: Sequence[str]) -> int:
    """Be the daemon, or compile."""
    place = Place(ROOT)
    if words == [COMPILE]:
        if os.fork():
            os._exit(0)
        os.nice(19)
        place.compile()
        return 0
    wanted = os.environ.pop("COMPILE", "") == "yes"
    ready = place.ready()
    if ready is not None:
        os.utime(ready)
        sys.path.insert(0, str(ready))
    elif wanted:
        print(prepare(place), flush=True)
    from xsd.daemon import xenstored  # noqa: PLC0415  it has to be known from where

    return xenstored.serve(words)


def _digest(parts: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(b"%d:" % len(part) + part)
    return found.hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
