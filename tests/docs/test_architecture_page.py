"""docs/architecture.md and its picture name files and functions that there are."""

import ast
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import ROOT

PAGE: Final = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PICTURE: Final = ROOT / "docs" / "request.svg"
SVG: Final = "{http://www.w3.org/2000/svg}"


def names_of(path: Path) -> set[str]:
    """Functions of a module, and methods with their class."""
    found = set()
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{each.name}"
                for each in node.body
                if isinstance(each, ast.FunctionDef)
            }
    return found


def words_of(kind: str) -> list[str]:
    """The picture's texts of one class, in its order."""
    root = ET.parse(PICTURE).getroot()  # noqa: S314  our own file
    return [
        text.text
        for text in root.iter()
        if text.tag in {f"{SVG}text", f"{SVG}tspan"}
        and text.get("class") == kind
        and text.text
    ]


def test_the_picture_shows_calls_that_there_are() -> None:
    """Each beside its file."""
    files = [name for name in words_of("file") if name.endswith(".py")]
    calls = words_of("call")

    assert len(files) == len(calls) == 7
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
