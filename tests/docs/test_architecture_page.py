"""docs/architecture.md and its picture name files and functions that there are."""

import ast
import asyncio
import re
import socket
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import FrameType
from typing import Final

import pytest

from tests.docs.pages import ROOT
from xsd.engine import Engine
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.transport.reactor import Reactor
from xsd.transport.unix import UnixServer

PAGE: Final = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PICTURE: Final = ROOT / "docs" / "request.svg"
SVG: Final = "{http://www.w3.org/2000/svg}"


def names_of(path: Path) -> set[str]:
    found = set()
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            found |= {f"{node.name}.{each.name}" for each in methods}
    return found


def words_of(kind: str) -> list[str]:
    """The picture's texts of one class, in its order."""
    root = ET.parse(PICTURE).getroot()  # noqa: S314  our own file
    texts = [each for each in root.iter() if each.tag in {f"{SVG}text", f"{SVG}tspan"}]
    return [each.text for each in texts if each.get("class") == kind and each.text]


def test_the_picture_shows_calls_that_there_are() -> None:
    """Each beside its file."""
    files = [name for name in words_of("file") if name.endswith(".py")]
    calls = words_of("call")
    assert len(files) == len(calls) == 9
    for file, call in zip(files, calls, strict=True):
        assert call in names_of(ROOT / "xsd" / file)
        assert f"{file.rpartition('/')[2]}" in PAGE


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\w+/\w+\.py", PAGE))))
def test_files_that_are_named_exist(name: str) -> None:
    """Below xsd, or from the top."""
    assert (ROOT / "xsd" / name).is_file() or (ROOT / name).is_file()


def test_parts_of_the_store_are_all_of_its_modules() -> None:
    """Nothing was added without a line in the table, and nothing is left in it."""
    table = PAGE.split("## The store")[1].split("\n\n**")[0]
    named = set(re.findall(r"`(\w+\.py)`", table))
    modules = {path.name for path in (ROOT / "xsd" / "store").glob("*.py")}
    assert modules - {"__init__.py", "store.py"} - named == set()
    assert named - modules == set()


def test_layers_are_all_packages() -> None:
    """In the picture of text at the head of the page."""
    packages = {
        f"xsd.{path.parent.name}" for path in (ROOT / "xsd").glob("*/__init__.py")
    }
    assert set(re.findall(r"^(xsd\.\w+) ", PAGE, re.MULTILINE)) == packages


@pytest.mark.pure_only
async def test_a_write_is_as_short_as_the_page_says(tmp_path: Path) -> None:
    """From the poll that told of the bytes to the next one, nobody watching."""
    found = re.search(r"These are (\d+) calls in (\d+) modules", PAGE)
    assert found is not None
    reactor = Reactor(Engine(Store()), lambda _: None, asyncio.get_running_loop())
    ours, theirs = socket.socketpair()
    UnixServer(reactor, str(tmp_path / "socket"), 0).adopt(ours)
    calls: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and Path(code.co_filename).is_relative_to(ROOT):
            calls.append((code.co_filename, code.co_qualname))

    for _ in range(2):  # the first one makes the node
        theirs.sendall(encode_frame(Op.WRITE, 1, 0, b"/a/b\0value"))
        calls.clear()
        sys.setprofile(note)
        reactor.run()
        sys.setprofile(None)
        assert theirs.recv(99).endswith(b"OK\0")
    theirs.close()
    reactor.run()
    reactor.close()

    assert calls[0][1] == "Reactor.run"  # in the place of the event loop
    assert len(calls) - 1 == int(found[1])
    assert len({file for file, _name in calls}) == int(found[2])
