"""What tests do about programs that are not installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NeedProgram

ROOT = Path(__file__).resolve().parents[1]


def test_a_program_that_is_there_is_found(need_program: NeedProgram) -> None:
    """The path can be started."""
    assert need_program("sh", "dash").endswith("/sh")


def test_a_missing_program_skips_and_names_the_package(
    need_program: NeedProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A developer without Xen's tools can run the other tests."""
    monkeypatch.delenv("XSD_CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="apt-get install some-package"):
        need_program("no-such-program", "some-package")


def test_a_missing_program_fails_in_ci(
    need_program: NeedProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a forgotten package would turn tests off unseen."""
    monkeypatch.setenv("XSD_CI", "1")

    with pytest.raises(pytest.fail.Exception, match="apt-get install some-package"):
        need_program("no-such-program", "some-package")


SKIPS = """
import pytest

def test_lacks():
    pytest.skip("a package is missing")

@pytest.mark.skip(reason="for no reason")
def test_marked():
    pass

@pytest.fixture
def absent():
    pytest.skip("there is no peer")

def test_asks(absent):
    pass

def test_cannot():
    pytest.skip("needs root")

@pytest.mark.xfail
def test_expected():
    raise AssertionError
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ci", "outcome"),
    [("0", "4 skipped, 1 xfailed"), ("1", "1 failed, 1 skipped, 1 xfailed, 2 errors")],
)
def test_whatever_is_skipped_fails_in_ci(tmp_path: Path, ci: str, outcome: str) -> None:
    """A comparison that nobody runs would look like one that finds nothing."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_skips.py").write_text(SKIPS)
    done = ran_pytest(tmp_path, "-p", "no:asyncio", XSD_CI=ci).stdout

    assert done.splitlines()[-1].startswith(f"{outcome} in ")
    for reason in ("a package is missing", "for no reason", "there is no peer"):
        assert (f"skipped in CI: {reason}" in done) == (ci == "1")


LISTENER = """
import sys

def note(event, arguments):
    if event == "compile" and arguments[1] == "<unknown>":
        raise AssertionError("a source is looked at")
    if event == "open" and str(arguments[0]).endswith(".gz"):
        raise AssertionError("a recording is read")

sys.addaudithook(note)

def pytest_collection_modifyitems(items):
    import gc
    assert not gc.isenabled()
"""


@pytest.mark.slow
def test_to_find_a_test_nothing_else_is_done(tmp_path: Path) -> None:
    """Who runs one of some thousands waits for this each time."""
    (tmp_path / "listener.py").write_text(LISTENER)
    done = ran_pytest(ROOT / "tests", "--collect-only", "-p", "listener", path=tmp_path)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def ran_pytest(
    where: Path, *options: str, path: Path = ROOT, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run pytest without what this run has set, and return how it ended."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, str(where)],
        cwd=where,
        env={**kept, "PYTHONPATH": f"{ROOT}:{path}", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
