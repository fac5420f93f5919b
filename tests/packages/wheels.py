"""The second half of `make wheels`: what has been built is looked through and tried.

Each check prints a line. The exit status is 1 if one fails.
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
from typing import Final

from tests.docs.pages import ROOT, blocks_of
from tests.docs.terminal import Terminal, environment_of, type_all
from tests.support.checks import passes, ran, verdict
from xsd import __version__

REPLACING: Final = ROOT / "docs" / "replacing.md"


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


def holds(wheel: zipfile.ZipFile, info: str) -> str:
    """It has the package as it is in the repository, a command, and nothing else."""
    inside = {name for name in wheel.namelist() if not name.startswith(info)}
    command = info.replace(".dist-info/", ".data/scripts/xsd")
    inside.remove(command)
    assert wheel.read(command) == (ROOT / "packages/wheel/xsd").read_bytes()
    built = {name for name in inside if name.endswith(".so")}
    assert inside - built == sources(), (inside - built) ^ sources()
    assert {"xsd/protocol/py.typed", "xsd/py.typed"} <= inside
    assert {name.partition("/")[0] for name in inside - built} == {"xsd"}
    for name in inside - built:
        assert wheel.read(name) == (ROOT / name).read_bytes(), name
    # One more is what mypyc calls the group's own; it may lie beside the packages.
    modules = {re.sub(r"\.[^/]*\.so$", ".py", name) for name in built}
    if built:
        missing = compiled_sources() - modules
        rest = {name for name in modules - compiled_sources() if "__mypyc" not in name}
        assert (missing, rest) == (set(), set()), (missing, rest)
    return f"{len(inside) - len(built)} files, {len(built)} compiled"


def describes_itself(wheel: zipfile.ZipFile, info: str) -> str:
    """Version, licence, requirements, commands."""
    said = email.message_from_bytes(wheel.read(f"{info}METADATA"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (said["Name"], said["Version"]) == (project["name"], __version__)
    assert said["Requires-Python"] == project["requires-python"]
    assert said["License-Expression"] == "MIT"
    assert said["Summary"] == project["description"]
    texts = [str(text) for text in said.get_all("Requires-Dist", [])]
    needed = [text for text in texts if "extra ==" not in text]
    assert needed == project["dependencies"], needed
    assert wheel.read(f"{info}licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    commands = wheel.read(f"{info}entry_points.txt").decode().split("\n")
    assert commands[0] == "[console_scripts]"
    found = dict(line.split(" = ") for line in commands[1:] if line)
    assert found == project["scripts"], found
    return f"{said['Name']} {said['Version']}, {', '.join(sorted(found))}"


def is_for(wheel: zipfile.ZipFile, info: str) -> str:
    """A wheel without compiled modules is for every interpreter and machine."""
    said = email.message_from_bytes(wheel.read(f"{info}WHEEL"))
    is_compiled = any(name.endswith(".so") for name in wheel.namelist())
    tag = str(said["Tag"])
    assert (tag != "py3-none-any") == is_compiled, tag
    assert (said["Root-Is-Purelib"] == "false") == is_compiled
    return tag


def leaves_other_names_alone(wheel: zipfile.ZipFile, _info: str) -> str:
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


def installed(wheel: zipfile.ZipFile, folder: Path) -> Path:
    """Install a wheel where nothing else is, and return where the commands are."""
    bin_ = folder / "venv" / "bin"
    run([sys.executable, "-m", "venv", str(bin_.parent)])
    run([str(bin_ / "pip"), "install", "--quiet", str(wheel.filename)])
    return bin_


def serves(wheel: zipfile.ZipFile, _info: str) -> str:
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
        is_compiled = any(path.endswith(".so") for path in wheel.namelist())
        kind = "compiled" if is_compiled else "pure"
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
            assert file.endswith(".so" if is_compiled else ".py"), file
    return f"health: {health}"


def is_typed_by_its_link(wheel: zipfile.ZipFile, _info: str) -> str:
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


def daemon(bin_: Path) -> list[str]:
    return [str(bin_ / "xenstored"), "--config", "/dev/null"]


def run(words: list[str]) -> str:
    done = ran(words, check=False, cwd="/", timeout=600)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


CHECKS: Final = (
    *(holds, describes_itself, is_for, leaves_other_names_alone, serves),
    is_typed_by_its_link,
)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("wheels", nargs="+", type=Path)
    passed = []
    for path in parser.parse_args().wheels:
        print(f"== {path.name}")
        with zipfile.ZipFile(path.resolve()) as wheel:
            info = f"xenstored-{__version__}.dist-info/"
            passed += [passes(check, wheel, info) for check in CHECKS]
    return verdict(passed)


if __name__ == "__main__":
    sys.exit(main())
