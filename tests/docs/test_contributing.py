"""What a contributor is told to type, and what he is told it does, is so."""

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import NeedProgram
from tests.docs.pages import ROOT
from tests.docs.terminal import environment_of, prepare
from tests.peers import build, run
from tests.test_architecture import FILE_LINES_MAX, FUNCTION_LINES_MAX, modules

PAGE: Final = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TABLE: Final = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", PAGE, re.MULTILINE))
MAKEFILE: Final = (ROOT / "Makefile").read_text(encoding="utf-8")
CI: Final = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

TOOLS: Final = {"make", "python3-dev", "python3-venv"}
"""Packages without which `make test` does not begin."""

IMPLIED: Final = {"libc6-dev", "libxenstore4", "xen-utils-common"}
"""Packages that come with others."""


def targets() -> set[str]:
    lines = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    return {name for line in lines for name in line.split()}


def test_the_table_has_every_target_and_no_other() -> None:
    """So has the head of the Makefile."""
    head = MAKEFILE.partition("\n\n")[0]

    assert set(TABLE) == {".ci/run", *(f"make {name}" for name in targets())}
    assert set(re.findall(r"^# make ([\w-]+)", head, re.MULTILINE)) == targets()


@pytest.mark.parametrize("target", sorted(targets()))
def test_every_target_does_something(target: str, need_program: NeedProgram) -> None:
    """As far as make tells without doing it."""
    make = need_program("make", "make")
    outer = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    done = subprocess.run(
        [make, "-n", target],
        cwd=ROOT,
        env=outer,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout
    assert done.stderr == ""


def test_variables_are_those_of_the_makefile() -> None:
    """On the page and in the head of the Makefile, as `NAME=`."""
    head, _, rules = MAKEFILE.partition("\n\n")
    named = set(re.findall(r"`([A-Z_]+)=", PAGE))
    named |= set(re.findall(r"\b([A-Z_]+)=", head))

    assert named
    assert [each for each in named if not re.search(rf"\b{each}\b", rules)] == []


def test_what_has_to_pass_is_what_ci_runs() -> None:
    """In this order."""
    promised = re.findall(r"`([\w-]+)`", TABLE[".ci/run"])

    assert re.findall(r"^(?:XSD_CI=1 )?make ([\w-]+)$", CI, re.MULTILINE) == promised
    assert re.findall(r"^XSD_CI=1 make ([\w-]+)$", CI, re.MULTILINE) == [
        *("test", "test-compiled")
    ]


def packages_of_ci() -> set[str]:
    found = re.search(r"^packages=\((.*?)\)", CI, re.MULTILINE | re.DOTALL)
    assert found is not None
    return set(found[1].split())


def packages_of_tests() -> set[str]:
    """What tests name when they are skipped."""
    found = set(build.HEADERS.values())
    for module in modules("tests"):
        # The latter are programs of `make test-xen`.
        if module.name == "test_conftest.py" or module.parts[1] == "xen":
            continue
        for node in ast.walk(ast.parse((ROOT / module).read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"apt-get install ([\w.-]+)$", node.value))
            if not isinstance(node, ast.Call) or len(node.args) != 2:
                continue
            name = ast.unparse(node.func)
            if name in {"need_program", "find_program"}:
                found |= literal_of(node.args[1])
    return found


def literal_of(node: ast.expr) -> set[str]:
    value = node.value if isinstance(node, ast.Constant) else None
    return {value} if isinstance(value, str) else set()


def test_with_the_packages_named_no_test_is_skipped() -> None:
    """The page's are those that CI installs, and those that tests ask for."""
    named = re.search(r"`apt-get install ([^`]*)`", PAGE)
    assert named is not None
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    few = re.search(r"need Debian's packages \(([^)]*)", readme)
    assert few is not None

    assert set(named[1].split()) == packages_of_ci() - TOOLS
    assert {"gcc", "xenstore-utils", "mandoc"} <= packages_of_tests()
    assert packages_of_tests() - set(named[1].split()) - TOOLS - IMPLIED == set()
    assert set(re.findall(r"`([\w.-]+)`", few[1])) <= set(named[1].split())


def test_the_rules_are_those_that_are_checked() -> None:
    """By test_architecture.py."""
    words = " ".join(PAGE.split())

    assert f"a file has at most {FILE_LINES_MAX} lines" in words
    assert f"a function at most {FUNCTION_LINES_MAX}" in words
    for path in re.findall(r"`((?:tests|xsd|benchmarks|\.ci)/[\w/.]+)`", PAGE):
        assert (ROOT / path).exists(), path


def test_a_daemon_of_xens_is_run_by_hand_as_the_page_says() -> None:
    """In the words that the program itself has for it."""
    found = re.search(r"`(\.venv/bin/python -m tests\.peers\.run [^`]*)`", PAGE)

    assert found is not None
    assert found[1] in (run.__doc__ or "")


@pytest.mark.slow
def test_all_tests_are_said_to_take_minutes_at_once(
    tmp_path: Path, need_program: NeedProgram
) -> None:
    """Then how far they are, also where there is no terminal; a few just run."""
    prepare(tmp_path, "")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv" / ".develop").touch()
    (tmp_path / "tests").mkdir()
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / "tests" / name).write_text("def test_nothing() -> None: ...\n")
    env = environment_of(tmp_path)
    del env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
    printed = [
        subprocess.run(
            [need_program("make", "make"), "-s", "test", *words],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for words in ([], ["ARGS=tests/test_one.py"])
    ]

    first = printed[0].splitlines()[0]
    assert re.fullmatch(r"All tests: about \d+ minutes on .* make test ARGS=.*", first)
    assert re.findall(r"\[ *(\d+)%\]", printed[0]) == ["50", "100"]
    assert "All tests" not in printed[1]
    assert "1 passed" in printed[1]
