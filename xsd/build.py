"""What is running: which version, whether it is compiled, and on which Python."""

import sys

from xsd import __version__
from xsd.protocol import limits


def kind() -> str:
    """Return `compiled` if mypyc has made the modules that it is to make, else `pure`.

    They are made all together: one tells of all.
    """
    return "pure" if str(limits.__file__).endswith(".py") else "compiled"


def python() -> str:
    """Return the interpreter's version, as `3.11.2`."""
    return sys.version.split()[0]


def version_of(program: str) -> str:
    """Return what a program answers to `--version`: its own, then on what it runs.

    Args:
        program: What the first line begins with.
    """
    return f"{program} {__version__}\n{kind()}, Python {python()}"
