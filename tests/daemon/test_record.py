"""The recording of what changes the state."""

import asyncio
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.processes import wait_until
from tests.support.services import on_loop, serve_client, serving
from xsd.client import Client
from xsd.daemon.daemonize import StartError
from xsd.daemon.record import FileTape
from xsd.daemon.service import Service
from xsd.daemon.settings import Config
from xsd.engine import Engine
from xsd.engine.inputs import CAME, DOMAINS, LIMIT, ORPHANS, REQUEST, WENT, Input
from xsd.engine.replay import replay
from xsd.persistence.tape import Recorded, TapeReader
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.testing.guests import PretendedHost


def read(path: Path) -> list[Recorded]:
    """Read a recording."""
    with path.open("rb") as lines:
        found = list(TapeReader(lines))
    times = [each.at_ms for each in found]
    assert times == sorted(times)
    return found


def test_inputs_of_a_turn_are_there_before_its_replies_leave(tmp_path: Path) -> None:
    """Links are only told after the turn, and the file is whole by then."""
    tape = FileTape(tmp_path / "record", 0)
    engine = Engine(Store())
    engine.tape = tape
    connection = engine.connect(0)
    engine.feed(connection, encode_frame(Op.WRITE, 1, 0, b"/a\0" + bytes(range(256))))
    engine.turn(1)

    assert engine.take_dirty() == [connection]
    came, request = [each.entry for each in read(tmp_path / "record")]
    assert (came.kind, came.connection, came.domid) == (CAME, connection.id, 0)
    assert request.kind == REQUEST
    assert request.frame is not None
    assert request.frame.payload == b"/a\0" + bytes(range(256))
    tape.close()


def test_what_came_after_the_last_turn_is_there_in_the_end(tmp_path: Path) -> None:
    """Clients that go while the daemon ends, for instance."""
    tape = FileTape(tmp_path / "record", 3)
    tape.take(Input(WENT, 1, connection=1))
    tape.close()

    assert [each.entry.kind for each in read(tmp_path / "record")] == [WENT]


def test_only_its_owner_reads_it_and_a_link_is_not_followed(tmp_path: Path) -> None:
    """There may be passwords in it.

    A link may have been put there to have a file of ours emptied.
    """
    FileTape(tmp_path / "record", 0).close()
    (tmp_path / "file").write_text("kept", "ascii")
    (tmp_path / "link").symlink_to("file")

    with pytest.raises(OSError, match="symbolic links"):
        FileTape(tmp_path / "link", 0)
    assert (tmp_path / "file").read_text("ascii") == "kept"
    assert (tmp_path / "record").stat().st_mode & 0o777 == 0o600


def test_after_the_end_nothing_is_written(tmp_path: Path) -> None:
    """Its descriptor may be a client's by then."""
    tape = FileTape(tmp_path / "record", 0)
    tape.close()
    tape.close()
    tape.take(Input(WENT, 1, connection=1))
    tape.end_turn()

    assert read(tmp_path / "record") == []


def test_a_full_disk_ends_the_recording_only() -> None:
    """It is told once, and requests are answered as before."""
    with capture_logs() as logs:
        tape = FileTape(Path("/dev/full"), 0)
    engine = Engine(Store())
    engine.tape = tape
    connection = engine.connect(0)
    engine.feed(connection, encode_frame(Op.MKDIR, 1, 0, b"/a\0"))
    with capture_logs() as later:
        engine.turn(1)
        engine.feed(connection, encode_frame(Op.MKDIR, 2, 0, b"/b\0"))
        engine.turn(2)

    assert [line["event"] for line in (*logs, *later)] == ["record.failed"]
    assert bytes(connection.outbox.peek()) == (
        encode_frame(Op.MKDIR, 1, 0, b"OK\0") + encode_frame(Op.MKDIR, 2, 0, b"OK\0")
    )


def test_a_pipe_that_nobody_reads_ends_the_recording_only(tmp_path: Path) -> None:
    """As a full disk does; without a reader it does not begin."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="No such device"):
        FileTape(pipe, 0)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    tape = FileTape(pipe, 0)
    with capture_logs() as logs:
        for _ in range(100):
            for _ in range(100):
                tape.take(Input(WENT, 1, connection=1))
            tape.end_turn()
    tape.close()
    os.close(reader)

    assert [line["event"] for line in logs] == ["record.failed"]


# In the daemon.


def test_what_changes_the_state_is_recorded_if_wanted(tmp_path: Path) -> None:
    """The settings, and all that comes of sockets, rings and domains, to the end."""
    path, file = tmp_path / "socket", tmp_path / "record"

    def talk(dom0: Client) -> None:
        with (
            PretendedHost(f"{path}.hypervisor", timeout=20) as host,
            host.create(5) as guest,
        ):
            dom0.introduce(5, 1, guest.port)
            assert guest.request(Op.GET_DOMAIN_PATH, b"5\0") == b"/local/domain/5\0"
            host.kill(5)
            wait_until(lambda: not dom0.is_domain_introduced(5), "the end of dom5")

    config = Config(
        socket=path,
        hypervisor="emulated",
        record_file=file,
        quota_nodes=500,
        keep_orphans=True,
    )
    serve_client(config, talk)

    found = [each.entry for each in read(file)]
    requests = [each for each in found if each.kind == REQUEST]
    limits = [(each.name, each.numbers) for each in found if each.kind == LIMIT]
    assert ("nodes", (500,)) in limits
    assert [each.kind for each in found][: len(limits) + 1] == [
        *[LIMIT] * len(limits),
        ORPHANS,
    ]
    assert (CAME, 0) in [(each.kind, each.domid) for each in found]
    assert [each.frame and each.frame.op for each in requests] == [Op.INTRODUCE]
    assert DOMAINS in [each.kind for each in found]
    assert replay(Engine(Store()), found) == len(found)


@on_loop
async def test_a_recording_that_cannot_be_made_is_no_start(tmp_path: Path) -> None:
    """Whoever asked for it would miss it later."""
    path, file = tmp_path / "socket", tmp_path / "missing" / "record"
    config = Config(socket=path, hypervisor="emulated", record_file=file)

    with pytest.raises(StartError, match=f"cannot record to {file}: No such file"):
        Service(config, asyncio.get_running_loop()).start()

    assert list(path.parent.iterdir()) == []


@on_loop
async def test_a_start_that_fails_leaves_socket_and_recording_of_the_other(
    tmp_path: Path,
) -> None:
    """Two daemons that are started with the same words."""
    path, file = tmp_path / "socket", tmp_path / "record"
    config = Config(socket=path, hypervisor="emulated", record_file=file)

    async with serving(config):
        file.write_text("recorded", "ascii")
        with pytest.raises(StartError, match="another xenstored is serving there"):
            Service(config, asyncio.get_running_loop()).start()
        assert file.read_text("ascii") == "recorded"
        assert path.is_socket()
