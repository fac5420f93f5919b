"""Rules about the tree of files that no other tool checks."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ("protocol", "xsd", "tests", "benchmarks", "examples")
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
FOLDERS = (
    *CODE,
    "completion",
    "container",
    "docs",
    "man",
    "packages",
    "systemd",
    ".ci",
)

# Paths of somebody's machine and numbers of somebody's tracker tell readers nothing.
FOREIGN = re.compile(r"/(?:work|farm)/|/tmp/[a-z]+/|\b(?:issue|task) #?[0-9]+\b")


def modules(*folders: str) -> list[Path]:
    """Return the Python files below folders, by their paths in the project."""
    found = [path for name in folders for path in (ROOT / name).rglob("*.py")]
    return sorted(path.relative_to(ROOT) for path in found)


def mirror_of(module: Path) -> Path:
    """Return where a module's tests belong: store/test_x.py for xsd/store/x.py."""
    inner = module.relative_to("xsd") if module.parts[0] == "xsd" else module
    return Path("tests") / inner.with_name(f"test_{module.name}")


def functions(module: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Find the functions and methods of a module."""
    for node in ast.walk(ast.parse((ROOT / module).read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def texts() -> list[Path]:
    """Return the files that people write."""
    inside = [path for name in FOLDERS for path in (ROOT / name).rglob("*")]
    # That of a work tree is a file, which git writes.
    top = [path for path in ROOT.iterdir() if path.name != ".git"]
    files = [path for path in (*top, *inside) if path.is_file()]
    return [path for path in files if b"\0" not in path.read_bytes()]


def test_every_module_has_its_test_module_in_the_mirrored_place() -> None:
    """Who changes a module finds its tests without a search."""
    untested = [
        f"{module} needs {mirror_of(module)}"
        for module in modules("protocol", "xsd")
        if module.name not in {"__init__.py", "__main__.py"}
        and not (ROOT / mirror_of(module)).is_file()
    ]

    assert not untested, "\n".join(untested)


def imported(module: Path) -> set[str]:
    """Return the names of the packages that a module imports anything of."""
    nodes = list(ast.walk(ast.parse((ROOT / module).read_bytes())))
    names = [
        alias.name
        for node in nodes
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    names += [
        node.module or ""
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.level == 0
    ]
    return {name.partition(".")[0] for name in names}


def test_the_protocol_has_one_name() -> None:
    """A class that is loaded under two names is two classes."""
    assert (ROOT / "xsd" / "protocol").readlink() == Path("../protocol")
    found = [module for module in modules(*CODE) if "protocol" in imported(module)]

    assert found == []


def test_the_folder_of_the_protocol_is_no_package_of_its_own() -> None:
    """Where the repository is on the path, and in an editable installation."""
    done = subprocess.run(
        [sys.executable, "-c", "import protocol.errors"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert done.stderr.endswith("the protocol is to be imported as xsd.protocol\n")


def test_a_users_own_protocol_is_theirs(tmp_path: Path) -> None:
    """A module of that name beside a script is not ours to take."""
    (tmp_path / "protocol.py").write_text("raise AssertionError('it was imported')\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import importlib, pkgutil, sys, xsd\n"
        "for found in pkgutil.walk_packages(xsd.__path__, 'xsd.'):\n"
        "    if not found.name.endswith('.__main__'):\n"
        "        importlib.import_module(found.name)\n"
        "print('xsd.protocol.frame' in sys.modules, 'protocol' in sys.modules)\n"
    )

    printed = subprocess.check_output([sys.executable, script], text=True)

    assert printed == "True False\n"


def test_no_module_is_too_long_to_be_read() -> None:
    """A file over 500 lines holds a second concern."""
    lines = {
        str(module): len((ROOT / module).read_bytes().splitlines())
        for module in modules(*CODE)
    }

    assert {name: n for name, n in lines.items() if n > FILE_LINES_MAX} == {}


def test_no_function_is_too_long_to_be_read() -> None:
    """A function over 60 lines holds a second one."""
    lines = {
        f"{module}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module in modules(*CODE)
        for node in functions(module)
    }

    assert {name: n for name, n in lines.items() if n > FUNCTION_LINES_MAX} == {}


def constants(module: Path) -> Iterator[tuple[str, str]]:
    """Find the names of a module's constants and what they are, if that is a number."""
    for node in ast.parse((ROOT / module).read_bytes()).body:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            name, value = ast.unparse(node.target), ast.unparse(node.value)
            if re.fullmatch(r"[-+*<() 0-9]+", value) and name.isupper():
                yield name.strip("_"), value


def test_a_number_has_its_name_in_one_module_only() -> None:
    """Or one of the two is changed some day and the other is not."""
    places: dict[tuple[str, str], list[str]] = {}
    for module in modules("protocol", "xsd"):
        for constant in constants(module):
            places.setdefault(constant, []).append(str(module))
    # Two sockets of two layers.
    places.pop(("BACKLOG", "1024"))

    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_nothing_refers_to_a_machine_or_a_tracker() -> None:
    """The tree explains itself to somebody who has only the tree."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
        )
        if FOREIGN.search(line)
    ]

    assert not found, "\n".join(found)
