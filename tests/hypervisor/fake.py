"""A stand-in for the libraries of Xen that know the domains."""

import itertools
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.conftest import NeedProgram

SOURCE: Final = Path(__file__).with_name("fake_domains.c")

FakeLibrary = Callable[..., str]


def fake_library(need_program: NeedProgram, directory: Path) -> FakeLibrary:
    """Return a function that compiles one: the body of the fixtures `fake`.

    Args:
        need_program: Finds the compiler.
        directory: For the libraries.

    Returns:
        Takes options of the compiler, returns the path of a library that shares
        nothing with any other.
    """
    compiler = need_program("gcc", "gcc")
    numbers = itertools.count()

    def compile_one(*options: str) -> str:
        target = directory / f"fake{next(numbers)}.so"
        command = [compiler, "-shared", "-fPIC", "-Wall", "-Werror", *options]
        subprocess.run([*command, "-o", target, SOURCE], check=True)
        return str(target)

    return compile_one
