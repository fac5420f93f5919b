"""Words for the checker of types that cost nothing when a program starts.

A script runs short commands by the hundred, and `typing` alone takes such a command a
quarter of its time. Modules that a client loads have their annotations from here; for
checker and compiler these are the names of `typing`. And packages that gather names of
many modules load those that are asked for.
"""

import sys
from collections.abc import Callable

TYPE_CHECKING = False
"""Always true for mypy, whoever sets it."""

if TYPE_CHECKING:
    from typing import Any, Final, NoReturn, Self, TypeVar, final

    from mypy_extensions import mypyc_attr
else:

    class _Word:
        """Stands in annotations, alone or with others in brackets."""

        def __class_getitem__(cls, _others):
            return cls

    Any = Final = NoReturn = Self = _Word

    def TypeVar(_name):  # noqa: N802
        """See `typing`."""
        return _Word

    def final(decorated):
        """See `typing`."""
        return decorated

    def mypyc_attr(**_):
        """See `mypy_extensions`."""
        return final


__all__ = [
    "TYPE_CHECKING",
    "Any",
    "Final",
    "NoReturn",
    "Self",
    "TypeVar",
    "final",
    "gathered",
    "mypyc_attr",
]


def gathered(package: str, modules: tuple[str, ...]) -> Callable[[str], object]:
    """Make the `__getattr__` of a package that has the names of some of its modules.

    Args:
        package: Its `__name__`; its `__all__` says which names it has.
        modules: Whole names of where they are; the first that has a name counts.
    """

    def find(name: str) -> object:
        if name in sys.modules[package].__all__:
            for module in modules:
                __import__(module)
                if hasattr(sys.modules[module], name):
                    found: object = getattr(sys.modules[module], name)
                    setattr(sys.modules[package], name, found)
                    return found
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
