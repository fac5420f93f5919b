"""A daemon and its tools say whether they are compiled."""

import re
import sys
from types import ModuleType

import pytest

import xsd.engine.core
import xsd.persistence.journal
import xsd.protocol.frame
import xsd.store.store
import xsd.transport.unix
from xsd import __version__, build
from xsd.protocol import limits


@pytest.mark.parametrize(
    "module",
    [
        xsd.protocol.frame,
        xsd.store.store,
        xsd.engine.core,
        xsd.persistence.journal,
        xsd.transport.unix,
    ],
    ids=lambda module: module.__name__,
)
def test_it_is_what_the_modules_are(module: ModuleType) -> None:
    """All of them, as no build compiles a part."""
    is_pure = str(module.__file__).endswith(".py")

    assert build.kind() == ("pure" if is_pure else "compiled")


@pytest.mark.parametrize(
    ("file", "kind"), [("limits.py", "pure"), ("limits.cpython-311.so", "compiled")]
)
def test_a_module_that_is_no_source_is_compiled(
    monkeypatch: pytest.MonkeyPatch, file: str, kind: str
) -> None:
    monkeypatch.setattr(limits, "__file__", f"/lib/xsd/protocol/{file}")

    assert build.kind() == kind


def test_the_first_line_is_the_version_alone() -> None:
    """The second is the build; scripts that look at the first need not know it."""
    first, second = build.version_of("xsd").split("\n")

    assert first == f"xsd {__version__}"
    assert re.fullmatch(r"(compiled|pure), Python 3\.\d+\.\d+\S*", second)
    assert sys.version.startswith(build.python())
