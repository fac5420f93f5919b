"""`xsd state`: files with what a daemon hands on to another."""

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.engine.lives import World
from tests.support.daemons import environment
from tests.support.terminal import run_on_terminal
from xsd.cli.state import STEPS
from xsd.cli.statefile import LONG
from xsd.client import Client
from xsd.engine import Engine
from xsd.engine.image import image
from xsd.protocol.dump import FIRST_LINE
from xsd.protocol.perms import Entry
from xsd.protocol.records import NodeData, Record, UnknownData
from xsd.protocol.stream import StreamReader, StreamWriter, read_stream, write_stream
from xsd.store import Store

LIFE = """
    introduce 5 1 7; node /own n5; 5 write /own/x v; write /a \xff
    watch /a t 3 -> OK /a:t; start -> 1,; t1 write /b v
"""
DUMP = (
    FIRST_LINE + b"\nglobal,3\nsocket,7\nwatch,-7,2f61,74\nstore,2f,6e30,\n"
    b"store,2f61,6e30,76\n"
)


@pytest.fixture
def records() -> list[Record]:
    """What we hand on, with a transaction and a watch with a depth."""
    return list(image(World(LIFE).engine))


@pytest.fixture
def ours(tmp_path: Path, records: list[Record]) -> Path:
    path = tmp_path / "ours"
    path.write_bytes(write_stream(records, StreamWriter()))
    return path


@pytest.fixture
def theirs(tmp_path: Path, records: list[Record]) -> Path:
    """Without what is ours alone, as C had it in a version and order of its own."""
    path = tmp_path / "theirs"
    known = [each for each in records if not isinstance(each, UnknownData)]
    path.write_bytes(write_stream(known, StreamWriter(1, big_endian=True)))
    return path


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "db"
    path.write_bytes(DUMP)
    return path


def test_verify_tells_what_is_in_files(
    xsd: Run, ours: Path, theirs: Path, dump: Path
) -> None:
    """Whose they are, and how much of what."""
    result = xsd("state", "verify", str(ours), str(theirs), str(dump))

    assert (result.status, result.err) == (0, b"")
    lines = result.out.decode().splitlines()
    assert lines[0] == (
        f"{ours}: stream, version 2, little endian, {ours.stat().st_size} bytes"
    )
    assert [line.split(":")[1].strip() for line in lines[1:7]] == [
        "xsd", "2", "1", "1", "8", "2",
    ]  # fmt: skip
    assert lines[7].startswith(f"{theirs}: stream, version 1, big endian, ")
    assert lines[8].split(":")[1].strip() == "C xenstored, or another daemon"
    assert lines[14] == f"{dump}: dump of oxenstored, {len(DUMP)} bytes"
    assert lines[15].split(":")[1].strip() == "oxenstored"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no stream of a XenStore's state (record at byte 0)"),
        (b"{}", "no state in JSON: "),
        (DUMP[:-1], "cut off (line 6)"),
        (DUMP + b"store,2f612f622f63,6e30,\n", "below nothing"),
    ],
)
def test_verify_tells_what_is_wrong(
    xsd: Run, tmp_path: Path, ours: Path, data: bytes, reason: str
) -> None:
    """And goes on with the next file."""
    broken = tmp_path / "broken"
    broken.write_bytes(data)

    result = xsd("state", "verify", str(broken), str(ours))

    assert result.status == 1
    assert result.err.startswith(f"xsd state: {broken}: ".encode())
    assert reason.encode() in result.err
    assert result.out.startswith(f"{ours}: stream".encode())


def test_a_state_of_a_control_domain_apart_is_verified_as_one(
    xsd: Run, tmp_path: Path
) -> None:
    """The file says which it is."""
    path = tmp_path / "apart"
    engine = Engine(Store(3, own_domid=7))
    path.write_bytes(write_stream(image(engine), StreamWriter()))

    assert xsd("state", "verify", str(path)).status == 0


def test_damage_is_told_with_its_place(xsd: Run, ours: Path) -> None:
    """In bytes of the file; that of a record that has no room for what it says."""
    data = ours.read_bytes()
    reader = StreamReader(data)
    reader.next()
    ours.write_bytes(data[: reader.offset + 12])

    result = xsd("state", "verify", str(ours))

    assert (result.status, result.out) == (1, b"")
    assert result.err.endswith(b"(record at byte %d)\n" % reader.offset)


def test_a_file_that_is_missing_is_told(xsd: Run, tmp_path: Path) -> None:
    """By each command; `diff` has a status of its own for it."""
    missing = str(tmp_path / "missing")
    for words in (("verify",), ("convert",), ("diff", missing)):
        result = xsd("state", *words, missing)

        assert result.status == (2 if words[0] == "diff" else 1)
        assert b"No such file" in result.err


def test_convert_goes_to_json_and_back(xsd: Run, ours: Path, tmp_path: Path) -> None:
    """Byte by byte the same, what is ours alone included."""
    text, again = tmp_path / "json", tmp_path / "again"

    there = xsd("state", "convert", str(ours), str(text))
    back = xsd("state", "convert", str(text), str(again))

    assert there == back == (b"", b"", 0)
    assert again.read_bytes() == ours.read_bytes()
    assert again.stat().st_mode & 0o777 == 0o600
    rows = json.loads(text.read_bytes())["records"]
    assert {"type": "transaction", "connection": 1, "number": 1} in rows
    assert not list(tmp_path.glob("*.part"))


def test_convert_prints_without_an_output(xsd: Run, ours: Path, dump: Path) -> None:
    """A dump of oxenstored becomes a stream."""
    text = xsd("state", "convert", str(ours)).out
    stream = xsd("state", "convert", str(dump), "-").out

    assert text.startswith(b'{"version": 2, "big_endian": false, "records": [\n{"type"')
    paths = [each.path for each in read_stream(stream) if isinstance(each, NodeData)]
    assert paths == [b"/", b"/a"]


def test_convert_writes_versions_and_byte_orders(xsd: Run, theirs: Path) -> None:
    """As it was, without options, through JSON too; or as it is wished."""
    words = ["state", "convert", "--to", "stream", str(theirs)]

    same = StreamReader(xsd(*words).out)
    other = StreamReader(xsd(*words, "--version", "2", "--order", "little").out)

    assert xsd(*words).out == theirs.read_bytes()
    assert (same.version, same.big_endian) == (1, True)
    assert (other.version, other.big_endian) == (2, False)


def test_convert_says_for_what_there_is_no_room(xsd: Run, tmp_path: Path) -> None:
    """And leaves no half of a file."""
    text = tmp_path / "json"
    text.write_text(
        '{"version": 2, "big_endian": false, "records": ['
        '{"type": "node", "path": "/", "value": "%s", "perms": ["n0"]}]}'
        % ("x" * 70000)
    )

    result = xsd("state", "convert", str(text), str(tmp_path / "stream"))

    assert result.status == 1
    assert result.err.startswith(b"xsd state: record 1: no room for it in a record")
    assert {path.name for path in tmp_path.iterdir()} == {"json"}


def test_diff_tells_in_what_files_differ(
    xsd: Run, ours: Path, theirs: Path, dump: Path, tmp_path: Path
) -> None:
    """Whatever kind they are of; by the status, too."""
    text = tmp_path / "json"
    xsd("state", "convert", str(ours), str(text))

    assert xsd("state", "diff", str(ours), str(text)) == (b"", b"", 0)
    other = xsd("state", "diff", str(ours), str(theirs))
    assert other.status == 1
    assert other.out == (
        b'+ watch of a socket /a "t"\n- watch of a socket /a "t" depth 3\n'
        b"! domain 0 features 15 -> 0\n! domain 5 features 15 -> 0\n"
    )
    oxen = xsd("state", "diff", str(ours), str(dump))
    assert oxen.status == 1
    assert b'- /own/x = "v" (n5)\n' in oxen.out
    dump.write_bytes(DUMP[:-1])
    assert xsd("state", "diff", str(ours), str(dump)).status == 2


def test_something_long_says_on_a_terminal_how_far_it_is(tmp_path: Path) -> None:
    """And leaves nothing of that there; something short says nothing."""
    mine = (Entry(0, 0),)
    nodes: list[Record] = [NodeData(b"/", b"", mine)]
    short, long = tmp_path / "short", tmp_path / "long"
    short.write_bytes(write_stream(nodes, StreamWriter()))
    value = b"v" * 4000
    names = [b"/%d" % number for number in range(LONG // len(value))]
    nodes.extend([NodeData(name, value, mine) for name in names])
    long.write_bytes(write_stream(nodes, StreamWriter()))
    words = [sys.executable, "-m", "xsd", "state", "verify"]

    text = run_on_terminal([*words, str(long)], 80, environment())
    quiet = run_on_terminal([*words, str(short)], 80, environment())

    said, _, rest = text.partition(b"\x1b[K")
    assert b"\rreading %s: 50 %%\r" % bytes(long) in said
    assert rest.startswith(bytes(long))
    assert quiet.startswith(bytes(short))


def test_the_state_of_a_running_daemon_is_dumped_and_loaded(
    xsd: Run, client: Client, tmp_path: Path
) -> None:
    """As a stream, or as JSON; all of the tree comes back."""
    file, text = tmp_path / "state", tmp_path / "json"
    client.write("/t/a", b"1")

    dumped = xsd("state", "dump", str(file))
    xsd("state", "dump", "--to=json", str(text))
    client.rm("/t/a")
    client.write("/t/b", b"2")
    loaded = xsd("state", "load", str(file), "--force")

    assert dumped == loaded == (b"", b"", 0)
    assert xsd("state", "verify", str(file)).status == 0
    assert b'"path": "/t/a", "value": "1"' in text.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert client.read("/t/a") == b"1"
    assert not client.exists("/t/b")


def test_a_running_daemon_is_verified_and_compared(
    xsd: Run, client: Client, tmp_path: Path
) -> None:
    """Where no file is named."""
    file = tmp_path / "state"
    xsd("state", "dump", str(file))
    client.write("/t/a", b"1")

    verified = xsd("state", "verify")
    compared = xsd("state", "diff", str(file))

    assert verified.status == 0
    assert verified.out.startswith(b"the running daemon: stream, version 2, ")
    assert compared.status == 1
    assert b'+ /t/a = "1" (n0)\n' in compared.out


def test_one_domain_is_exported_and_imported(
    xsd: Run, client: Client, tmp_path: Path
) -> None:
    """By its id; what is no domain is refused."""
    file = tmp_path / "one"
    for domid in (41, 42):
        xsd("domain", "create", str(domid))
        client.set_quota("nodes", domid, domid)
    client.write("/local/domain/41/data/a", b"1")

    assert xsd("state", "export", "41", str(file)) == (b"", b"", 0)
    assert xsd("state", "import", "42", str(file)) == (b"", b"", 0)

    assert client.read("/local/domain/42/data/a") == b"1"
    assert client.get_quota("nodes", 42) == 41
    assert xsd("state", "verify", str(file)).status == 0
    for words in (("export", "9"), ("export", "x"), ("import", "9", str(file))):
        assert xsd("state", *words).status == 1
    for domid in (41, 42):
        assert xsd("domain", "kill", str(domid)).status == 0


@pytest.mark.parametrize(
    "words",
    [("dump", "a", "b"), ("load",), ("export",), ("import", "5"), ("convert",)],
)
def test_a_command_takes_as_many_words_as_it_needs(
    xsd: Run, words: tuple[str, ...]
) -> None:
    """Else its usage is shown."""
    result = xsd("state", *words)

    assert (result.status, result.out) == (1, b"")
    assert b"takes other words" in result.err


def test_a_load_that_is_long_says_on_a_terminal_how_far_it_is(
    client: Client, daemon_socket: Path, tmp_path: Path
) -> None:
    """In steps; it leaves nothing of that there."""
    file = tmp_path / "state"
    for number in range(STEPS):
        client.write(f"/t/{number}", b"v")
    words = [sys.executable, "-m", "xsd", "--socket", str(daemon_socket), "state"]
    run_on_terminal([*words, "dump", str(file)], 80, environment())
    client.rm("/t")

    text = run_on_terminal([*words, "load", str(file), "--force"], 80, environment())

    assert b"\rloading: 50 %\r" in text
    assert text.endswith(b"\r\x1b[K")
    assert client.read("/t/7") == b"v"
