"""xsd.protocol.lean: what costs nothing when a program starts."""

import subprocess
import sys
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
