"""Fixtures for all tests, and what holds of a run as a whole."""

import gc
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Final, NoReturn, Protocol

import pytest
from hypothesis import settings

# Timing decides no test: an example may take as long as a busy machine needs.
settings.register_profile("xsd", deadline=None)
settings.load_profile("xsd")

NEEDS: Final = "needs "
"""Begin of the reason why a test is skipped in CI, too."""


Reports = Generator[None, pytest.TestReport, pytest.TestReport]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Find the tests without looking for garbage, nor later among what was found.

    There is none, and to look takes a tenth of the time in which one test is found.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Reports:
    """Fail a test that is skipped in CI, whatever it is skipped for.

    Except where this user or this machine cannot run it: its reason begins with NEEDS.
    """
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and in_ci():
        assert isinstance(report.longrepr, tuple)
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(NEEDS):
            report.outcome = "failed"
            report.longrepr = f"skipped in CI: {reason}"
    return report


def in_ci() -> bool:
    """Tell whether these are the runs of `.ci/run`, where nothing is to be missing."""
    return os.environ.get("XSD_CI") == "1"


class NeedProgram(Protocol):
    """The type of the fixture `need_program`."""

    def __call__(self, name: str, package: str) -> str:
        """Return the path of a program of the system, or skip the test."""


def find_program(name: str, package: str) -> str:
    """Return the path of a program.

    Args:
        name: As on the command line, or an absolute path.
        package: The Debian package that has it.

    Raises:
        Skipped: If it is missing.
        Failed: If it is missing in CI, which installs the package.
    """
    # Debian keeps daemons outside a user's PATH.
    places = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    found = shutil.which(name, path=places)
    if found is None:
        skip_or_fail(f"{name} is missing: apt-get install {package}")
    return found


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test; in CI fail it."""
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def need_program() -> NeedProgram:
    """Find a program, `need_program("xenstore-ls", "xenstore-utils")`, or skip."""
    return find_program


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose path is short enough for a socket."""
    return tmp_path_factory.mktemp("xs")
