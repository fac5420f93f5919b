"""`xsd tape`: a recording as text, and carried out once more."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from xsd.engine import Engine
from xsd.engine.inputs import LIMIT, REQUEST, Input, MemoryTape
from xsd.persistence.tape import encode, encode_header
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store


@pytest.fixture
def lines() -> list[bytes]:
    """A tape of a client that writes three nodes, the last one in a transaction."""
    engine = Engine(Store())
    tape = MemoryTape()
    engine.tape = tape
    engine.set_limit(-1, "nodes", 500)
    connection = engine.connect(0)
    for op, payload, tx in (
        (Op.WRITE, b"/a\0one", 0),
        (Op.WRITE, b"/b\0" + b"x" * 300, 0),
        (Op.TRANSACTION_START, b"\0", 0),
        (Op.WRITE, b"/c\0\xff", 1),
        (Op.TRANSACTION_END, b"T\0", 1),
    ):
        engine.feed(connection, encode_frame(op, 1, tx, payload))
    engine.turn(1)
    entries = enumerate(tape.inputs)
    return [encode_header(0), *[encode(each, n * 1500) for n, each in entries]]


@pytest.fixture
def file(tmp_path: Path, lines: list[bytes]) -> Path:
    """The same as a file."""
    path = tmp_path / "record"
    path.write_bytes(b"".join(lines))
    return path


def test_show_prints_a_line_for_each_input(xsd: Run, file: Path) -> None:
    """When, what, by whom, and the generation after it."""
    result = xsd("tape", "show", str(file))
    head, limit, came, first, long, *_, end = result.out.decode().splitlines()

    assert (result.status, result.err) == (0, b"")
    assert head == "tape of control domain 0"
    assert limit.startswith("     0.000 limit dom-1 nodes 500 -> ")
    assert came.startswith("     1.500 came #1 dom0 -> ")
    assert first.startswith("     3.000 request #1 dom0 WRITE '/a\\000one' -> ")
    assert "... 303 bytes" in long
    assert len(long) < 300
    assert end.startswith(
        "     9.000 request #1 dom0 TRANSACTION_END tx 1 'T\\000' -> "
    )


def test_replay_says_what_comes_of_it(xsd: Run, file: Path) -> None:
    """Counts, and the generation."""
    engine = Engine(Store())
    before = sum(engine.store.usage.nodes.used.values())
    result = xsd("tape", "replay", str(file))

    assert (result.status, result.err) == (0, b"")
    said = dict(line.split(":") for line in result.out.decode().splitlines())
    assert int(said["inputs"]) == 7
    assert int(said["connections"]) == 1
    assert int(said["domains"]) == 1
    assert int(said["nodes"]) == before + 3


def test_replay_tells_the_line_at_which_something_is_not_as_it_was(
    xsd: Run, file: Path, lines: list[bytes]
) -> None:
    """An input is missing: what comes after it leads elsewhere."""
    file.write_bytes(b"".join([*lines[:3], *lines[4:]]))

    result = xsd("tape", "replay", str(file))

    assert (result.status, result.out) == (1, b"")
    assert result.err.startswith(
        b"xsd tape: %b: line 4: request #1 dom0 WRITE '/b" % str(file).encode()
    )
    assert b"generation " in result.err


@pytest.mark.parametrize("command", ["show", "replay"])
def test_a_line_that_was_cut_off_is_told(xsd: Run, file: Path, command: str) -> None:
    """After what is before it; that there is no file, too."""
    file.write_bytes(file.read_bytes()[:-5])

    result = xsd("tape", command, str(file))
    missing = xsd("tape", command, f"{file}.1")

    assert result.status == 1
    assert result.err == b"xsd tape: %b: line 8: it ends early\n" % str(file).encode()
    assert (b"request #1" in result.out) == (command == "show")
    assert (missing.status, missing.out) == (1, b"")
    assert b"No such file" in missing.err


MKDIR = encode_frame(Op.MKDIR, 1, 0, b"/a\0").decode("latin-1")


@pytest.mark.parametrize(
    ("entry", "fields"),
    [
        (Input(REQUEST, -1, 5, frame=None), {"frame": MKDIR}),
        (Input(LIMIT, -1, domid=-1, name="cows", numbers=(1,)), {}),
        (Input(LIMIT, -1, domid=-1, name="nodes"), {}),
    ],
    ids=["a connection that never came", "an unknown limit", "a limit without number"],
)
def test_an_input_that_cannot_be_carried_out_is_told(
    xsd: Run, file: Path, entry: Input, fields: dict[str, object]
) -> None:
    """With its line."""
    file.write_bytes(encode_header(0) + encode(entry, 0, fields))

    result = xsd("tape", "replay", str(file))

    assert (result.status, result.out) == (1, b"")
    assert b": line 2: " in result.err
