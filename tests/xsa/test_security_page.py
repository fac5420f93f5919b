"""The page on security says what there is: tests, limits, and nothing else."""

import ast
import re
from pathlib import Path
from typing import Final

from xsd.daemon.settings import Config
from xsd.engine import HIGH_WATER
from xsd.engine.contest import (
    TURN_FREE_MS,
    TURN_MS,
    TURN_OWED_MS,
    TURN_PRICE,
    WAIT_MS,
)
from xsd.engine.delivery import DEAF_MS, UNSENT_MAX
from xsd.engine.engine import GUEST_TURN, TURN
from xsd.engine.loglimit import AT_ONCE
from xsd.engine.progress import PROTECT_AFTER
from xsd.engine.protection import PROTECT_MAX_MS, PROTECT_MS
from xsd.engine.rests import REST_MAX_MS, WORK_FREE, WORK_OWED, WORK_PER_MS
from xsd.engine.schedule import FEW
from xsd.engine.turns import CONTESTED_MAX, DEPTH_MAX, GUEST_MAX
from xsd.hypervisor.control import ACCEPT_MAX
from xsd.protocol.limits import PAYLOAD_MAX, RING_SIZE
from xsd.store.events import EVENTS_MAX
from xsd.store.footprint import FORK_BYTES, SPOT_BYTES
from xsd.store.quota import DEFAULTS, SOFT_DEFAULTS
from xsd.store.snapshots import DISPLACED_MAX
from xsd.store.usage import LEVEL_BYTES, MESSAGE_BYTES, NODE_BYTES, WATCH_BYTES
from xsd.transport.unix import RECEIVE_FIRST, RECEIVE_MAX

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
PAGE: Final = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")

KIB: Final = 1024
MIB: Final = 1024 * KIB


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without their heads."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = [number for number, row in enumerate(found) if set(row[0]) == {"-"}]
    return [
        row
        for number, row in enumerate(found)
        if number not in heads and number + 1 not in heads
    ]


def names_of(path: Path) -> list[str]:
    """Names of the tests of a module."""
    module = ast.parse(path.read_bytes())
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    return [each.name for each in functions if each.name.startswith("test_")]


def test_every_advisory_has_its_tests_and_is_in_the_table() -> None:
    """In its place, under its number; the table is in order and complete."""
    table = rows("Advisories")
    numbers = [int(row[0]) for row in table]
    files = {path.name for path in HERE.glob("test_xsa_*.py")}

    assert numbers == sorted(numbers)
    assert {f"test_xsa_{number}.py" for number in numbers} == files
    for number, row in zip(numbers, table, strict=True):
        assert row[3] == f"`tests/xsa/test_xsa_{number}.py`"


def test_every_module_of_an_advisory_says_which_it_is() -> None:
    """And has tests."""
    for path in HERE.glob("test_xsa_*.py"):
        number = path.stem.removeprefix("test_xsa_")
        about = ast.get_docstring(ast.parse(path.read_bytes()))

        assert about is not None
        assert about.startswith(f"XSA-{number}: ")
        assert names_of(path)


def test_every_rule_has_tests_and_every_module_of_rules_a_rule() -> None:
    """Those that belong to no advisory."""
    named = {row[1].strip("`") for row in rows("Rules beside the advisories")}
    files = {f"tests/xsa/{path.name}" for path in HERE.glob("test_rules_c*.py")}

    assert named == files
    for name in files:
        assert names_of(ROOT / name)


def test_every_file_that_is_named_exists() -> None:
    """Nothing that was renamed is left."""
    for name in re.findall(r"`(tests/[^`]+|docs/[^`]+)`", PAGE):
        assert (ROOT / name).is_file()


def test_the_quotas_are_those_of_the_store() -> None:
    """With their values, in the store's order."""
    table = rows("What is bounded")[: len(DEFAULTS)]

    assert {row[0].strip("`"): int(row[1]) for row in table} == DEFAULTS
    assert [row[0].strip("`") for row in table] == list(DEFAULTS)


def test_the_other_bounds_are_those_of_the_code() -> None:
    """Each number of the table, in its order."""
    table = rows("What is bounded")[len(DEFAULTS) :]

    assert [row[1] for row in table] == [
        f"{PAYLOAD_MAX:,} bytes",
        f"{RING_SIZE:,} bytes, of which {GUEST_TURN} requests are answered",
        (
            f"{RECEIVE_FIRST // KIB} KiB, or {RECEIVE_MAX // KIB} KiB "
            f"if there are {FEW} requests or fewer"
        ),
        f"{TURN}, those of clients that have {FEW} or fewer first",
        f"{ACCEPT_MAX}",
        f"{HIGH_WATER // KIB} KiB",
        (
            f"{UNSENT_MAX // MIB} MiB for {DEAF_MS // 1000} s; an event counts "
            f"{MESSAGE_BYTES} bytes more than it has"
        ),
        f"{DEAF_MS // 1000} s",
        f"{DISPLACED_MAX // MIB} MiB",
        f"{EVENTS_MAX:,}",
        f"{Config().watch_event_timeout_s} s (`--timeout watch-event=s`)",
        f"{AT_ONCE} at once, then one a minute",
        f"{PROTECT_AFTER}",
        (
            f"{PROTECT_MS} ms after its client's last request, "
            f"{PROTECT_MAX_MS:,} ms in all"
        ),
        (
            f"{TURN_MS} ms; a guest owes {TURN_PRICE} times what is beyond "
            f"{TURN_FREE_MS} ms, and comes last while that is more than "
            f"{TURN_OWED_MS:,} ms"
        ),
        f"{WAIT_MS:,} ms",
        (
            f"{CONTESTED_MAX}, of them {GUEST_MAX} because of one guest; none has more "
            f"than {DEPTH_MAX} levels"
        ),
        (
            f"{WORK_FREE}, and {WORK_OWED} beyond that which are worked off at "
            f"{WORK_PER_MS} a millisecond; a rest takes {REST_MAX_MS:,} ms at most"
        ),
    ]


def test_what_counts_as_memory_is_what_the_code_counts() -> None:
    """And the soft quota is its default."""
    text = " ".join(PAGE.split("A guest's **memory**")[1].split("\nEqual")[0].split())

    assert f"its token, {WATCH_BYTES} bytes and {LEVEL_BYTES} for each level" in text
    assert f"transaction {NODE_BYTES} bytes and the value of each node" in text
    assert f"changed {SPOT_BYTES} bytes, those of the name, and {FORK_BYTES}" in text
    assert f"its bytes and {MESSAGE_BYTES} more" in text
    assert f"at most {DISPLACED_MAX // MIB} MiB of former versions" in text
    assert f"From {SOFT_DEFAULTS['memory']} on" in PAGE
