"""xsd.daemon.succession: what one daemon leaves the next, written and read."""

import json
import os
import socket
from pathlib import Path

import pytest

from xsd.daemon.succession import (
    HOST,
    SuccessionError,
    c_state_file,
    check,
    digest,
    read_state,
    state_file,
    write_state,
)
from xsd.daemon.wayback import STATE_VARIABLE
from xsd.engine import Engine
from xsd.engine.image import End, image
from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.records import ConnectionData, GlobalData, UnknownData
from xsd.protocol.stream import StreamWriter, write_stream
from xsd.store import Store


def engine() -> Engine:
    """One with a node, and a client that has asked for an update."""
    found = Engine(Store())
    client = found.connect(0)
    found.feed(client, encode_frame(Op.WRITE, 9, 0, b"/a\0b"))
    while found.busy:
        found.turn(0)
    found.core.deferred[client.id] = encode_frame(Op.CONTROL, 7, 0, b"")[:12]
    return found


def stream(of: Engine, **host: object) -> bytes:
    """What it leaves."""
    (number,) = of.core.connections
    asked = [number, of.core.deferred[number].hex()]
    told = {"who": [0, 0], "asked": asked, **host}
    shared = GlobalData(3, -1)
    records = [shared, *image(of, {number: End(fd=5)})]
    records.append(UnknownData(HOST, json.dumps(told).encode()))
    return write_stream(records, StreamWriter())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "state"
    write_state(found, stream(engine()))
    return found


def test_a_state_is_nobody_elses_to_read(path: Path) -> None:
    """What was there before is no part of it, nor followed if it is a link."""
    other = path.with_name("other")
    other.write_text("mine")
    path.unlink()
    path.symlink_to(other)

    write_state(path, b"state")

    assert path.read_bytes() == b"state"
    assert (path.lstat().st_mode & 0o7777) == 0o600
    assert other.read_text() == "mine"


def test_a_state_tells_of_all_that_is_open(path: Path) -> None:
    """And who has left it."""
    left = read_state(path)

    assert left.is_ours
    assert left.host["who"] == [0, 0]
    assert sorted(left.descriptors()) == [3, 5]
    assert left.kept == {"evtchn": -1}
    left.remove()
    left.remove()
    assert not path.exists()


@pytest.mark.parametrize("size", range(0, 2000, 61))
def test_a_state_that_was_cut_is_refused(path: Path, size: int) -> None:
    """As a whole, and with a reason."""
    data = path.read_bytes()
    path.write_bytes(data[: min(size, len(data) - 1)])

    with pytest.raises(SuccessionError, match=r"."):
        read_state(path)
    assert check(path, 0, 0)[0] == 1


def test_a_state_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With the name of the file."""
    with pytest.raises(SuccessionError, match=r"absent: No such file"):
        read_state(tmp_path / "absent")


def test_a_state_that_can_be_loaded_has_the_digest_of_who_left_it(path: Path) -> None:
    """It is what a new program says to prove itself."""
    assert check(path, 0, 0) == (0, digest(engine()))


def test_a_state_is_of_the_domains_that_the_settings_name(path: Path) -> None:
    """Else all that is allowed would be allowed to others."""
    for control, own in ((7, 0), (0, 7)):
        status, text = check(path, control, own)
        assert status == 1
        assert "another domain" in text


def test_who_has_asked_is_told_why_another_could_not(path: Path) -> None:
    """In the place of the answer that the other would have given."""
    left = read_state(path)
    left.answer_instead("no luck")

    (client,) = [each for each in left.records if isinstance(each, ConnectionData)]
    frames = FrameDecoder().feed(client.unsent)
    assert [frame.payload for frame in frames] == [b"OK\0", b"no luck\0"]
    assert [(frame.op, frame.req_id) for frame in frames][1] == (Op.CONTROL, 7)


def test_it_is_looked_for_where_the_one_before_says() -> None:
    """C xenstored has a place of its own."""
    run = {"XENSTORED_RUNDIR": "/r"}

    assert state_file({STATE_VARIABLE: "/x", **run}, ["--restart"]) == Path("/x")
    assert state_file(run, ["-N", "-U"]) == c_state_file(run) == Path("/r/state_dump")


def test_it_is_looked_for_where_oxenstored_leaves_it() -> None:
    """By its options, unless C's daemon has come in between."""
    words = ["--no-fork", "--live", "--restart"]

    assert state_file({}, words) == Path("/run/xenstored/db")
    assert state_file({}, [*words, "-U"]) == c_state_file({})


def test_what_oxenstored_leaves_is_read(path: Path) -> None:
    """With the event channels, which are all bound already."""
    path.write_bytes(
        b"$xenstored-dump-format\nglobal,3\nevtchn-dev,4,9\ndom,5,4101,21,12\n"
        b"store,2f,6e30,\n"
    )

    left = read_state(path)

    assert left.kept == {"evtchn": 4, "virq": 9, "remote": {"12": 21}}
    assert left.shared.socket_fd == 3
    assert sorted(left.descriptors()) == [3, 4]
    assert left.is_of_oxenstored
    assert not left.is_ours
    path.write_bytes(b"$xenstored-dump-format\nglobal,3")
    with pytest.raises(SuccessionError, match="cut off"):
        read_state(path)


def test_the_socket_that_is_left_says_where_it_is(directory: Path) -> None:
    """It stays open, and is closed in other programs again afterwards."""
    path = directory / "state"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "socket"))
        os.set_inheritable(listener.fileno(), True)
        data = write_stream([GlobalData(listener.fileno(), -1)], StreamWriter())
        write_state(path, data)
        left = read_state(path)

        assert left.listens_at == directory / "socket"
        left.keep_descriptors()
        assert not os.get_inheritable(listener.fileno())
        assert left.listens_at == directory / "socket"
    assert left.listens_at is None
