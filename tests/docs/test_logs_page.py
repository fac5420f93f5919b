"""docs/logs.md has every event that the daemon logs, its level and its fields."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tests.docs.pages import ROOT
from xsd.daemon.settings import SETTINGS

PAGE: Final = ROOT / "docs" / "logs.md"
ROW: Final = re.compile(r"^\| `([a-z]+\.[a-z_]+)` \| (\w+) \| ([^|]*)\|", re.MULTILINE)
EVENT: Final = re.compile(r"[a-z]+\.[a-z_]+")
LEVELS: Final = {"debug", "info", "warning", "error", "critical"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Row(NamedTuple):
    level: str
    fields: frozenset[str]


class Call(NamedTuple):
    """A place where an event is made."""

    event: str
    node: ast.Call
    function: Function
    path: Path


def documented() -> dict[str, Row]:
    return {
        event: Row(level, frozenset(re.findall(r"`(\w+)`", fields)))
        for event, level, fields in ROW.findall(PAGE.read_text())
    }


def name_of(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id  # type: ignore[attr-defined]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


@cache
def functions_of(path: Path) -> list[Function]:
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, Function)]


# Not when the module is read, as it is to find any test: it takes half a second.
@cache
def calls() -> list[Call]:
    """Every call that is given the name of an event."""
    return list(_calls())


def _calls() -> Iterator[Call]:
    for path in sorted((ROOT / "xsd").rglob("*.py")):
        for function in functions_of(path):
            for node in ast.walk(function):
                if not isinstance(node, ast.Call):
                    continue
                for word in map(text_of, node.args):
                    if EVENT.fullmatch(word) and word not in SETTINGS:
                        yield Call(word, node, function, path)


def text_of(node: ast.AST | None) -> str:
    """What a string in the source says; nothing for anything else."""
    value = node.value if isinstance(node, ast.Constant) else ""
    return value if isinstance(value, str) else ""


def keys_of(function: Function) -> set[str]:
    """The fields that a function puts together."""
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Dict):
            found |= set(map(text_of, node.keys))
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            found.add(text_of(node.slice))
    return found - {""}


def helpers_of(call: Call) -> tuple[set[str], set[str]]:
    """The fields that the functions add through which an event is made."""
    nearby = {function.name: function for function in functions_of(call.path)}
    tracing = ROOT / "xsd" / "engine" / "tracing.py"
    traced = {function.name: function for function in functions_of(tracing)}
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [call.function]
    while waiting:
        for node in ast.walk(waiting.pop()):
            if not isinstance(node, ast.Call):
                continue
            if not isinstance(node.func, ast.Name | ast.Attribute):
                continue
            name = name_of(node)
            far = ast.unparse(node.func).startswith("tracing.")
            helper = traced.get(name) if far else nearby.get(name)
            wanted = far or name in {"_fields", "_note", "_message", "about"}
            if helper is not None and wanted and name not in seen:
                seen.add(name)
                found |= keys_of(helper)
                waiting.append(helper)
                nearby = {**nearby, **(traced if far else {})}
    return found, seen


PAGES_ROWS: Final = documented()


def test_the_page_has_every_event_and_no_other() -> None:
    """In one table each."""
    assert set(PAGES_ROWS) == {call.event for call in calls()}
    assert len(ROW.findall(PAGE.read_text())) == len(PAGES_ROWS)


def level_of(call: Call) -> str:
    """The level of an event in the source; `trace` is for what the switches choose."""
    level = text_of(call.node.args[0])
    if name_of(call.node) in LEVELS:
        return name_of(call.node)
    if level in LEVELS:
        return level
    if name_of(call.node) == "note_defect":
        return "error"
    return "info" if call.event in {"request.refused", "log.left_out"} else "trace"


def test_the_level_is_that_of_the_source() -> None:
    """For each place where an event is made."""
    source = [(call.event, level_of(call)) for call in calls()]
    assert source == [(event, PAGES_ROWS[event].level) for event, _ in source]


def test_no_field_is_missing() -> None:
    """Neither of those in the call, nor of those put together around it."""
    faults = [(call.event, missing_of(call)) for call in calls()]
    assert [(event, fields) for event, fields in faults if fields] == []


def missing_of(call: Call) -> set[str]:
    """Fields that the page does not have for the event."""
    in_call = {word.arg for word in call.node.keywords if word.arg is not None}
    named = {"exception" if name == "exc_info" else name for name in in_call}
    added, helpers = helpers_of(call)
    around = keys_of(call.function) | added
    together = {
        name
        for other in calls()
        if (other.path == call.path and other.function.name == call.function.name)
        or (other.path.name == "tracing.py" and other.function.name in helpers)
        for name in PAGES_ROWS[other.event].fields
    }

    return (named - {"wanted"} - PAGES_ROWS[call.event].fields) | (around - together)


def test_no_field_is_invented() -> None:
    """Each is a word of the modules that make such events."""
    faults = {event: invented_of(event) for event in PAGES_ROWS}
    assert {event: fields for event, fields in faults.items() if fields} == {}


def invented_of(event: str) -> frozenset[str]:
    """Fields that no module has that makes the event."""
    modules = {call.path for call in calls() if call.event == event}
    modules |= {ROOT / "xsd" / "engine" / f"{name}.py" for name in SHARED}
    modules.add(ROOT / "xsd" / "daemon" / "logbook.py")
    words = {"exception"}
    return PAGES_ROWS[event].fields - words.union(*map(words_of, modules))


@cache
def words_of(path: Path) -> set[str]:
    """Strings and names of arguments in a module."""
    nodes = list(ast.walk(tree_of(path)))
    keywords = {node.arg or "" for node in nodes if isinstance(node, ast.keyword)}
    return {*map(text_of, nodes), *keywords}


SHARED: Final = ("dispatch", "report", "tracing")
"""Modules of the engine that put fields together for others."""
