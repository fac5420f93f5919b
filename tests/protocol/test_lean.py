"""xsd.protocol.lean: what costs nothing when a program starts."""

import copy
import enum
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import xsd.client
import xsd.protocol
from tests.support.daemons import environment
from xsd.protocol import lean


def test_words_of_typing_can_stand_in_annotations() -> None:
    """Alone, in brackets, and joined with others."""
    words: Any = lean
    assert words.Final[list[int]] is words.Final
    assert words.TypeVar("T") is not None
    assert words.final(dict) is dict
    assert words.mypyc_attr(acyclic=True)(dict) is dict


class Level(lean.IntEnum):
    """Numbers with names."""

    LOW = 3
    HIGH = 7

    @property
    def is_high(self) -> bool:
        """Members may do something, too."""
        return self == Level.HIGH


_MAKE: Any = enum.IntEnum
Original: Any = _MAKE("Level", {"LOW": 3, "HIGH": 7})
ASKED: dict[str, Callable[[Any], object]] = {
    "members": list,
    "how many": len,
    "name": lambda kind: [each.name for each in kind],
    "value": lambda kind: (kind.LOW.value, int(kind.LOW)),
    "by number": lambda kind: kind(7) is kind.HIGH,
    "by name": lambda kind: (kind["HIGH"] is kind.HIGH, list(kind.__members__)),
    "equality": lambda kind: (kind.LOW == 3, kind.LOW < kind.HIGH, {3: 1}[kind.LOW]),
    "sum": lambda kind: kind.LOW + 1,
    "membership": lambda kind: (kind.HIGH in kind, kind.LOW in (3, 4)),
    "text": lambda kind: (str(kind.LOW), repr(kind.LOW), "%d" % kind.LOW),  # noqa: UP031
    "format": lambda kind: f"{kind.LOW} {kind.LOW:03} {kind.LOW!r}",
    "copy": lambda kind: (copy.deepcopy(kind.LOW) is kind.LOW, type(kind.LOW) is kind),
    "JSON": lambda kind: json.dumps({"level": kind.LOW}),
    "no such number": lambda kind: kind(4),
    "no such name": lambda kind: kind["NONE"],
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_numbers_with_names_are_like_those_of_the_standard_library(
    ask: Callable[[Any], object],
) -> None:
    """In all that is asked of them."""

    def answer(kind: Any) -> str:
        try:
            return repr(ask(kind))
        except (KeyError, ValueError) as error:
            return f"{type(error).__name__}: {error}"

    assert answer(Level) == answer(Original)


def test_members_may_have_properties_and_be_pickled() -> None:
    """By number."""
    assert (Level.HIGH.is_high, Level.LOW.is_high) == (True, False)
    assert pickle.loads(pickle.dumps(Level.LOW)) is Level.LOW  # noqa: S301


@pytest.mark.parametrize(
    "package", [xsd.protocol, xsd.client], ids=lambda p: p.__name__
)
def test_packages_have_all_their_names(package: Any) -> None:
    """And no others."""
    for name in package.__all__:
        assert getattr(package, name).__class__
    with pytest.raises(
        AttributeError, match=f"'{package.__name__}' has no .* 'Nothing'"
    ):
        _ = package.Nothing


def test_a_package_loads_the_modules_of_names_that_are_asked_for() -> None:
    """No others, but for those that these need."""
    program = (
        "import sys, xsd.protocol; xsd.protocol.Op; "
        "print(*sorted(m for m in sys.modules if m.startswith('xsd.protocol.')))"
    )
    printed = subprocess.check_output(
        [sys.executable, "-c", program], text=True, env=environment()
    )
    loaded = printed.split()
    assert "xsd.protocol.ops" in loaded
    assert "xsd.protocol.request" not in loaded
