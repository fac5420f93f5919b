"""The second half of `make wheels`: what has been built is looked through and tried.

Each check prints a line. The exit status is 1 if one fails. Wheels are given as
packages/build-wheels prints them: each after the interpreter that is to have it.
"""

import argparse
import email
import os
import re
import signal
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Final, NamedTuple

from tests.docs.pages import ROOT, blocks_of
from tests.docs.terminal import Terminal, environment_of, type_all
from tests.support.checks import passes, ran, verdict
from xsd import __version__

REPLACING: Final = ROOT / "docs" / "replacing.md"

CORE: Final = ("tests/protocol", "tests/store", "tests/engine", "tests/persistence")
"""Tests that modules are put to by each interpreter that they are compiled for."""


class Wheel(NamedTuple):
    """A wheel, and the interpreter that is to have it.

    Attributes:
        info: The folder inside that tells of it.
    """

    python: str
    path: Path
    file: zipfile.ZipFile
    info: str

    @property
    def is_compiled(self) -> bool:
        return any(name.endswith(".so") for name in self.file.namelist())


def sources() -> set[str]:
    words = ["git", "ls-files", "protocol", "xsd"]
    found = set(subprocess.check_output(words, cwd=ROOT, text=True).split())
    # A link to the folder protocol, whose files have its place.
    found.remove("xsd/protocol")
    return {re.sub("^protocol/", "xsd/protocol/", name) for name in found}


def compiled_sources() -> set[str]:
    """Return the modules that mypyc is to compile."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    hook = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]
    found = {path for pattern in hook["include"] for path in ROOT.glob(pattern)}
    names = {str(path.relative_to(ROOT)) for path in found}
    return names - set(hook["exclude"])


def holds(wheel: Wheel) -> str:
    """It has the package as it is in the repository, a command, and nothing else."""
    read = wheel.file.read
    names = wheel.file.namelist()
    inside = {name for name in names if not name.startswith(wheel.info)}
    command = wheel.info.replace(".dist-info/", ".data/scripts/xsd")
    inside.remove(command)
    assert read(command) == (ROOT / "packages/wheel/xsd").read_bytes()
    built = {name for name in inside if name.endswith(".so")}
    assert inside - built == sources(), (inside - built) ^ sources()
    assert {"xsd/protocol/py.typed", "xsd/py.typed"} <= inside
    assert {name.partition("/")[0] for name in inside - built} == {"xsd"}
    for name in inside - built:
        assert read(name) == (ROOT / name).read_bytes(), name
    # One more is what mypyc calls the group's own; it may lie beside the packages.
    modules = {re.sub(r"\.[^/]*\.so$", ".py", name) for name in built}
    if built:
        missing = compiled_sources() - modules
        rest = {name for name in modules - compiled_sources() if "__mypyc" not in name}
        assert (missing, rest) == (set(), set()), (missing, rest)
    return f"{len(inside) - len(built)} files, {len(built)} compiled"


def describes_itself(wheel: Wheel) -> str:
    """Version, licence, requirements, commands."""
    read, info = wheel.file.read, wheel.info
    said = email.message_from_bytes(read(f"{info}METADATA"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (said["Name"], said["Version"]) == (project["name"], __version__)
    assert said["Requires-Python"] == project["requires-python"]
    assert said["License-Expression"] == "MIT"
    assert said["Summary"] == project["description"]
    texts = [str(text) for text in said.get_all("Requires-Dist", [])]
    needed = [text for text in texts if "extra ==" not in text]
    assert needed == project["dependencies"], needed
    assert read(f"{info}licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    commands = read(f"{info}entry_points.txt").decode().split("\n")
    assert commands[0] == "[console_scripts]"
    found = dict(line.split(" = ") for line in commands[1:] if line)
    assert found == project["scripts"], found
    return f"{said['Name']} {said['Version']}, {', '.join(sorted(found))}"


def is_for(wheel: Wheel) -> str:
    """A wheel without compiled modules is for every interpreter and machine."""
    said = email.message_from_bytes(wheel.file.read(f"{wheel.info}WHEEL"))
    tag = str(said["Tag"])
    code = "import sys; print('cp%d%d-' % sys.version_info[:2])"
    own = run([wheel.python, "-c", code]).strip()
    assert tag.startswith(own) if wheel.is_compiled else tag == "py3-none-any", tag
    assert (said["Root-Is-Purelib"] == "false") == wheel.is_compiled
    return tag


def leaves_other_names_alone(wheel: Wheel) -> str:
    """A user's own `protocol` is theirs, and there is none without one."""
    with tempfile.TemporaryDirectory(prefix="xs", dir="/tmp") as name:
        python = installed(wheel, Path(name)) / "python"
        code = "import importlib.util as u; print(u.find_spec('protocol'))"
        assert run([str(python), "-I", "-c", code]) == "None\n"
        (Path(name) / "protocol.py").write_text("WHOSE = 'the user'\n")
        script = Path(name) / "script.py"
        script.write_text(
            "import xsd.daemon.main, xsd.testing\n"
            "import protocol\n"
            "print(protocol.WHOSE, xsd.testing.PretendedHost.__name__)\n"
        )
        assert run([str(python), str(script)]) == "the user PretendedHost\n"
    return "no module is called protocol"


def installed(wheel: Wheel, folder: Path, extra: str = "") -> Path:
    """Install a wheel where nothing else is, and return where the commands are."""
    bin_ = folder / "venv" / "bin"
    run([wheel.python, "-m", "venv", str(bin_.parent)])
    run([str(bin_ / "pip"), "install", "--quiet", f"{wheel.path}{extra}"])
    return bin_


def serves(wheel: Wheel) -> str:
    """In an environment with nothing else, `xsd` helps, and serves."""
    with tempfile.TemporaryDirectory(prefix="xs", dir="/tmp") as name:
        bin_ = installed(wheel, Path(name))
        assert run([str(bin_ / "xsd"), "--help"]).startswith("usage: xsd")
        socket = f"{name}/s"
        pid_file = Path(name) / "pid"
        xsd = [str(bin_ / "xsd"), "--socket", socket]
        # It returns when it serves.
        run([*daemon(bin_), "--socket", socket, "--pid-file", str(pid_file)])
        try:
            run([*xsd, "write", "/a", "1"])
            assert run([*xsd, "read", "/a"]) == "1\n"
            health = run([*xsd, "health"]).strip()
        finally:
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
        kind = "compiled" if wheel.is_compiled else "pure"
        for command, program in (("xsd", "xsd"), ("xenstored", "xenstored (xsd)")):
            said = run([str(bin_ / command), "--version"]).splitlines()
            assert said[0] == f"{program} {__version__}", said
            assert said[1].startswith(f"{kind}, Python 3."), said
        names = [path[:-3].replace("/", ".") for path in compiled_sources()]
        code = f"import {', '.join(names)}\n"
        code += f"print(*(module.__file__ for module in ({', '.join(names)})))"
        files = run([str(bin_ / "python"), "-I", "-c", code]).split()
        assert len(files) == len(names)
        for file in files:
            assert file.endswith(".so" if wheel.is_compiled else ".py"), file
    return f"health: {health}"


def is_typed_by_its_link(wheel: Wheel) -> str:
    """As docs/packages.md has it, `xsd` is a link; docs/replacing.md is typed so."""
    with tempfile.TemporaryDirectory(prefix="xs", dir="/tmp") as name:
        folder = Path(name)
        bin_ = installed(wheel, folder)
        links = folder / "bin"
        links.mkdir()
        (links / "xsd").symlink_to(bin_ / "xsd")
        environ = {**environment_of(folder), "PATH": f"{links}:/usr/bin:/bin"}
        blocks = [each for each in blocks_of(REPLACING) if not each.is_needy]
        type_all(blocks, folder, lambda: Terminal(folder, environ))
    return f"{len(blocks)} blocks"


def passes_tests(wheel: Wheel) -> str:
    """What is compiled is right on this interpreter as well: the tests of the core."""
    if not wheel.is_compiled:
        return "pure: by make test"
    with tempfile.TemporaryDirectory(prefix="xs", dir="/tmp") as name:
        bin_ = installed(wheel, Path(name), "[test]")
        # Beside the sources, as tests import from where they are.
        copy = 'git ls-files -z | tar --null -T - -cf - | tar -xf - -C "$0"'
        subprocess.run(["/bin/sh", "-c", copy, name], cwd=ROOT, check=True)
        wheel.file.extractall(name)
        words = ["-m", "pytest", "-q", "-m", "not pure_only", *CORE]
        done = ran([str(bin_ / "python"), *words], check=False, cwd=name, timeout=1800)
        assert done.returncode == 0, done.stdout
    return done.stdout.splitlines()[-1]


def daemon(bin_: Path) -> list[str]:
    return [str(bin_ / "xenstored"), "--config", "/dev/null"]


def run(words: list[str]) -> str:
    done = ran(words, check=False, cwd="/", timeout=600)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


CHECKS: Final = (
    *(holds, describes_itself, is_for, leaves_other_names_alone, serves),
    *(is_typed_by_its_link, passes_tests),
)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="+", metavar="PYTHON WHEEL")
    words = parser.parse_args().words
    passed = []
    for python, name in zip(words[::2], words[1::2], strict=True):
        # The link in an environment is what tells that it is one.
        path = Path(name).resolve()
        at = str(Path(python).absolute()) if "/" in python else python
        print(f"== {path.name}, {python}", flush=True)
        with zipfile.ZipFile(path) as file:
            info = f"xenstored-{__version__}.dist-info/"
            wheel = Wheel(at, path, file, info)
            passed += [passes(check, wheel) for check in CHECKS]
    return verdict(passed)


if __name__ == "__main__":
    sys.exit(main())
