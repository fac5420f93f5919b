"""Xen's own test program for XenStore daemons, test-xenstore."""

import re
from typing import Final

import pytest

from tests.conformance.programs import Ran, Tools, xen_program

PARTS: Final = [
    "read 1",
    "read 2000",
    "write 1",
    "write 2000",
    "dir",
    "rm node",
    "rm dir",
    "ta empty",
    "ta empty x",
    "ta rmw",
    "ta rmw x",
    "ta err",
]
"""What it tries: `ta` are transactions, `x` those with a conflict."""


@pytest.fixture
def program() -> str:
    """The program's path."""
    return xen_program("test-xenstore")


@pytest.mark.slow
def test_it_passes_a_hundred_times(xs: Tools, program: str) -> None:
    """Every part is run, status 0, and the store is sound and as it was."""
    before = xs("ls", "-fp", "/tool")

    ran = xs.run(program, "-i", "100")

    assert (ran.code, ran.err) == (0, b"")
    parts = re.findall(r"^(.+?) *: avg: \d+ ns", ran.out.decode(), re.MULTILINE)
    assert parts == PARTS
    assert xs("ls", "-fp", "/tool") == before
    assert xs.control("check") == Ran(out=b"OK\n")


@pytest.mark.slow
def test_it_passes_in_random_order(xs: Tools, program: str) -> None:
    """For the time that it is told, in whole seconds of the clock."""
    ran = xs.run(program, "-r", "2")

    assert (ran.code, ran.err) == (0, b"")
    assert xs.control("check") == Ran(out=b"OK\n")
