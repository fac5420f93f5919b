"""What modules need that short commands load, at no cost when a program starts.

A script runs such commands by the hundred, and `typing`, `enum` and `collections` alone
take as long to load as the interpreter. Modules that a client loads have their
annotations from here, and what little of the rest they need; for checker and compiler
these are the names of the standard library. And packages that gather names of many
modules load those that are asked for.
"""

import sys

TYPE_CHECKING = False
"""Always true for mypy, whoever sets it."""

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from enum import IntEnum
    from types import TracebackType
    from typing import Any, Final, NoReturn, Self, TypeVar, final

    from mypy_extensions import i64, mypyc_attr
else:
    try:
        from _collections import deque
    except ImportError:  # not promised to be there
        from collections import deque

    class _Word:
        """Stands in annotations, alone or with others in brackets."""

        def __class_getitem__(cls, _others):
            return cls

    Any = Final = NoReturn = Self = TracebackType = _Word
    Callable = Iterable = Iterator = Mapping = Sequence = _Word

    i64 = int

    def TypeVar(_name):  # noqa: N802
        """See `typing`."""
        return _Word

    def final(decorated):
        """See `typing`."""
        return decorated

    class _Numbers(type):
        """The class of `IntEnum`: it has its members by name and by number."""

        def __new__(cls, name, bases, names):
            made = super().__new__(cls, name, bases, dict(names))
            made.__members__ = {}
            made.by_number = {}
            for key, number in names.items():
                if isinstance(number, int) and not key.startswith("_"):
                    member = int.__new__(made, number)
                    member.name = key
                    setattr(made, key, member)
                    made.__members__[key] = made.by_number[number] = member
            return made

        def __call__(cls, number):
            member = cls.by_number.get(number)
            if member is None:
                raise ValueError(f"{number!r} is not a valid {cls.__name__}")
            return member

        def __getitem__(cls, name):
            return cls.__members__[name]

        def __iter__(cls):
            return iter(cls.__members__.values())

        def __len__(cls):
            return len(cls.__members__)

        def __contains__(cls, number):
            return number in cls.by_number

    class IntEnum(int, metaclass=_Numbers):
        """Numbers with names, as those of `enum`: equal to other numbers."""

        @property
        def value(self):
            """The number."""
            return int(self)

        def __repr__(self):
            return f"<{self.__class__.__name__}.{self.name}: {int(self)}>"

        def __str__(self):
            return str(int(self))

        def __reduce_ex__(self, _protocol):
            return self.__class__, (int(self),)

    def mypyc_attr(**_):
        """See `mypy_extensions`."""
        return final


__all__ = [
    "TYPE_CHECKING",
    "Any",
    "Callable",
    "Final",
    "IntEnum",
    "Iterable",
    "Iterator",
    "Mapping",
    "NoReturn",
    "Self",
    "Sequence",
    "TracebackType",
    "TypeVar",
    "deque",
    "final",
    "gathered",
    "i64",
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
