"""The recording of what comes in."""

import asyncio
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.services import serve
from xsd.client import Client
from xsd.daemon.daemonize import StartError
from xsd.daemon.record import FileRecorder
from xsd.daemon.service import Service
from xsd.daemon.settings import Config
from xsd.engine import Connection, Engine
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.testing.guests import PretendedHost


@pytest.fixture
def connection() -> Connection:
    """A client of dom0."""
    engine = Engine(Store())
    return engine.connect(engine.store.privileged.caller)


def lines_of(path: Path) -> list[dict[str, object]]:
    """Read a recording, without its times."""
    lines = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    times = [line.pop("at") for line in lines]
    assert times == sorted(times)
    return lines


def test_each_byte_comes_back(tmp_path: Path, connection: Connection) -> None:
    """Whatever a client sends, and each line is there at once."""
    path = tmp_path / "record"
    recorder = FileRecorder(path)
    recorder.opened(connection)
    recorder.received(connection, bytes(range(256)))
    recorder.closed(connection)

    who = {"connection": connection.id, "domid": 0}
    text = bytes(range(256)).decode("latin-1")
    assert lines_of(path) == [
        who | {"what": "open"},
        who | {"what": "data", "bytes": text},
        who | {"what": "close"},
    ]
    recorder.close()


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    """There may be passwords in it."""
    FileRecorder(tmp_path / "record").close()

    assert (tmp_path / "record").stat().st_mode & 0o777 == 0o600


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Somebody else may have put it there, to have a file of ours emptied."""
    (tmp_path / "file").write_text("kept", "ascii")
    (tmp_path / "record").symlink_to("file")

    with pytest.raises(OSError, match="symbolic links"):
        FileRecorder(tmp_path / "record")
    assert (tmp_path / "file").read_text("ascii") == "kept"


def test_after_the_end_nothing_is_written(
    tmp_path: Path, connection: Connection
) -> None:
    """Its descriptor may be a client's by then."""
    recorder = FileRecorder(tmp_path / "record")
    recorder.close()
    recorder.close()
    recorder.received(connection, b"late")

    assert lines_of(tmp_path / "record") == []


def test_a_full_disk_ends_the_recording_only(connection: Connection) -> None:
    """It is told once, and the daemon goes on."""
    recorder = FileRecorder(Path("/dev/full"))
    with capture_logs() as logs:
        recorder.received(connection, b"one")
        recorder.received(connection, b"two")

    assert [line["event"] for line in logs] == ["record.failed"]


# In the daemon.


def test_what_comes_in_is_recorded_if_wanted(tmp_path: Path) -> None:
    """From sockets and from rings, in one order, until the end."""
    path, file = tmp_path / "socket", tmp_path / "record"

    def talk() -> None:
        with (
            Client(str(path), timeout=20) as dom0,
            PretendedHost(f"{path}.hypervisor", timeout=20) as host,
            host.create(5) as guest,
        ):
            dom0.introduce(5, 1, guest.port)
            assert guest.request(Op.GET_DOMAIN_PATH, b"5\0") == b"/local/domain/5\0"

    async def work(_: Service) -> None:
        await asyncio.to_thread(talk)

    serve(Config(socket=path, hypervisor="emulated", record_file=file), work)

    lines = [json.loads(line) for line in file.read_text("ascii").splitlines()]
    whats = [(line["domid"], line["what"]) for line in lines]
    assert whats[:4] == [(0, "open"), (0, "data"), (5, "open"), (5, "data")]
    assert sorted(whats[4:]) == [(0, "close"), (5, "close")]


def test_a_recording_that_cannot_be_made_is_no_start(tmp_path: Path) -> None:
    """Whoever asked for it would miss it later."""
    path, file = tmp_path / "socket", tmp_path / "missing" / "record"
    config = Config(socket=path, hypervisor="emulated", record_file=file)

    async def run() -> None:
        with pytest.raises(StartError, match=f"cannot record to {file}: No such file"):
            Service(config).start()

    asyncio.run(run())

    assert list(tmp_path.iterdir()) == []


def test_a_start_that_fails_leaves_the_recording_of_the_other(tmp_path: Path) -> None:
    """Two daemons that are started with the same words."""
    path, file = tmp_path / "socket", tmp_path / "record"
    config = Config(socket=path, hypervisor="emulated", record_file=file)

    async def work(_: Service) -> None:
        file.write_text("recorded", "ascii")
        with pytest.raises(OSError, match="another xenstored is serving there"):
            Service(config).start()
        assert file.read_text("ascii") == "recorded"

    serve(config, work)
