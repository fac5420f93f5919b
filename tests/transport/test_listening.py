"""xsd.transport.listening: where the server listens, and its end."""

import asyncio
import contextlib
import errno
import fcntl
import gc
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transport.support import Peer, Served, run, serving
from xsd.engine import HIGH_WATER
from xsd.engine.engine import TURN
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.protocol.ops import Op
from xsd.transport.listening import take_away
from xsd.transport.pretended import GuestSockets
from xsd.transport.unix import UnixServer


@contextlib.contextmanager
def listening(path: str, backlog: int = 5) -> Iterator[socket.socket]:
    """Something else that listens on a path and accepts nobody."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(backlog)
        yield listener


def another(served: Served, path: Path | str | None = None) -> UnixServer:
    """A second server in the same loop, by default for the same path."""
    return UnixServer(served.reactor, served.path if path is None else str(path), 0)


def refused(server: UnixServer) -> OSError:
    """Start a server that cannot start; what it says."""
    try:
        server.start()
    except OSError as error:
        # Nothing is left open that would be closed only by chance.
        gc.collect(0)
        return error
    pytest.fail("the server has started")


def here(served: Served) -> Path:
    """The path that is served, on which other methods may be called than on text."""
    return Path(served.path)


@serving
async def test_socket_is_its_owners_unless_a_mode_is_chosen(served: Served) -> None:
    """Neither depends on the process's umask nor changes it."""
    mode = here(served).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600

    path = served.directory / "other"
    mask = os.umask(0o077)
    try:
        server = UnixServer(served.reactor, str(path), 0, mode=0o660)
        server.start()
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    server.close()


def test_socket_that_a_killed_daemon_left_is_replaced(directory: Path) -> None:
    """Nobody serves there."""
    path = directory / "socket"
    with listening(str(path)):
        pass
    assert path.exists()

    async def body(served: Served) -> None:
        await (await served.connect()).ping()

    run(directory, body)


@serving
async def test_second_daemon_is_refused_the_first_serves_on(served: Served) -> None:
    """With a text that says why; one that does not answer may only be busy."""
    peer = await served.connect()
    error = refused(another(served))
    assert error.errno == errno.EADDRINUSE
    assert error.strerror == "another xenstored is serving there"
    await peer.ping()
    await served.connect()

    # Its queue of clients is full.
    path = str(served.directory / "busy")
    with listening(path, 0):
        waiting = Peer(path)
        error = refused(another(served, path))
        waiting.close()
    assert error.errno == errno.EADDRINUSE
    assert error.strerror == (
        "a xenstored may be serving there (Resource temporarily unavailable)"
    )


@serving
async def test_path_that_nothing_can_listen_on_is_an_error(served: Served) -> None:
    """Something of somebody is in the way, the directory is missing, or it is long.

    The daemon makes directories, not the server; a path has 107 bytes at most.
    """
    file, place = served.directory / "file", served.directory / "directory"
    file.write_bytes(b"precious")
    place.mkdir()
    for path, number, said in (
        (file, errno.EEXIST, "there is something, and it is no socket"),
        (place, errno.EEXIST, "there is something, and it is no socket"),
        (served.directory / "no" / "socket", errno.ENOENT, "No such file or directory"),
    ):
        error = refused(another(served, path))
        assert (error.errno, error.strerror) == (number, said)
    long = refused(another(served, served.directory / ("x" * 108)))
    assert str(long) == "AF_UNIX path too long"
    assert file.read_bytes() == b"precious"
    assert place.is_dir()


# Two that come at once.


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Lock a file or directory, as who can open it may; tell whether it was free."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


@serving
async def test_two_daemons_do_not_clear_the_way_at_once(served: Served) -> None:
    """The second looks only when the first listens or has given up.

    Some network file systems have no locks; their directories are good enough.
    """
    held: list[bool] = []
    real = socket.socket.bind

    def bind(self: socket.socket, path: str) -> None:
        lock = Path(f"{path}.lock")
        with locked(lock) as has_lock:
            held.append(not has_lock)
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
        real(self, path)

    def no_locks(_descriptor: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    for owner, name, instead in (
        (socket.socket, "bind", bind),
        (fcntl, "flock", no_locks),
    ):
        server = another(served, served.directory / name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, instead)
            server.start()
        assert (served.directory / name).is_socket()
        server.close()
    assert held == [True]
    assert list(served.directory.glob("*.lock")) == []


@serving
async def test_lock_of_somebody_else_is_not_waited_for(served: Served) -> None:
    """Any local user may hold the directory's, and for ever.

    Only another daemon can hold our own, for a moment; who does not let go is told of.
    """
    waits: list[float] = []
    server = another(served, served.directory / "other")
    hypervisor = EmulatedHypervisor(str(served.directory / "control"))
    hypervisor._answer({"do": "create", "domid": 5})
    sockets = GuestSockets(served.reactor, hypervisor, str(served.directory / "x"))
    with pytest.MonkeyPatch.context() as patch, locked(served.directory) as has_lock:
        assert has_lock
        patch.setattr(time, "sleep", waits.append)
        server.start()
        sockets.update()
    assert waits == []
    lock = served.directory / "held.lock"
    lock.touch()
    with pytest.MonkeyPatch.context() as patch, locked(lock):
        patch.setattr(time, "sleep", waits.append)
        error = refused(another(served, served.directory / "held"))
    assert error.errno == errno.EADDRINUSE
    assert f"another xenstored is starting there and holds {lock}" in str(error)
    assert 0 < sum(waits) < 1
    waits.clear()

    # One that has just been removed is not the lock any more.
    def removed(number: float) -> None:
        waits.append(number)
        lock.unlink()

    lock.touch()
    late = another(served, served.directory / "held")
    with pytest.MonkeyPatch.context() as patch, locked(lock):
        patch.setattr(time, "sleep", removed)
        late.start()
    assert len(waits) == 1
    late.close()
    assert (served.directory / "other").is_socket()
    assert (served.directory / "x.dom5").is_socket()
    for each in (sockets, hypervisor, server):
        each.close()


# The end.


@serving
async def test_close_takes_its_own_socket_away(served: Served) -> None:
    """A second time does nothing, nor does it before the start; clients end."""
    peers = [await served.connect() for _ in range(3)]
    another(served).close()
    assert here(served).is_socket()
    served.server.close()
    served.server.close()
    assert not here(served).exists()
    assert served.connections == []
    for peer in peers:
        assert await peer.rest() == []

    # Somebody has removed it, and perhaps started another daemon.
    served.server.start()
    here(served).unlink()
    served.server.close()
    assert not here(served).exists()
    served.server.start()
    here(served).unlink()
    with listening(served.path):
        served.server.close()
        assert here(served).is_socket()


@serving
async def test_path_goes_while_it_is_still_listened_on(served: Served) -> None:
    """A daemon that starts meanwhile is refused, not robbed of its new socket."""
    found: list[int | None] = []
    real = Path.unlink

    def slow_unlink(self: Path) -> None:
        if self == here(served):
            found.append(refused(another(served)).errno)
        real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", slow_unlink)
        served.server.close()

    assert found == [errno.EADDRINUSE]
    assert not here(served).exists()


@serving
async def test_close_forgets_what_was_to_be_done(served: Served) -> None:
    """Requests that wait for their turn, output, and a rest from accepting."""
    peer, slow = await served.connect(), await served.connect()
    served.loop_after_each_pass()
    await slow.ask(Op.WRITE, b"/a\0" + b"x" * 4000)
    await slow.send(slow.many(800, Op.READ, b"/a\0"))
    await served.until(lambda: served.last.outbox.size > HIGH_WATER)
    first = served.connections[0]
    await peer.send(peer.many(3 * TURN))
    await served.until(lambda: bool(first.backlog))
    served.server.close()
    served.server.accept()
    await asyncio.sleep(0)

    assert served.connections == []
    assert first.backlog == []


@serving
async def test_server_can_be_started_again(served: Served) -> None:
    """After its close, on the same path and with the same store."""
    await (await served.connect()).ask(Op.WRITE, b"/a\0v")
    served.server.close()
    served.server.start()

    assert await (await served.connect()).ask(Op.READ, b"/a\0") == b"v"


@serving
async def test_listener_of_somebody_else_is_served_and_left(served: Served) -> None:
    """Who waits there already is served; the path and its socket outlive the server."""
    path = served.directory / "theirs"
    server = another(served, path)
    with listening(str(path)) as theirs:
        early = Peer(str(path))
        server.start(theirs.dup())
        await early.ping()
        server.close()
        server.close()

        assert await early.rest() == []
        assert path.is_socket()
        late = Peer(str(path))
        accepted, _ = theirs.accept()
        for sock in (early, late, accepted):
            sock.close()

    # Each start says anew whose it is.
    server.start()
    server.close()
    assert not path.exists()


@serving
async def test_a_connected_socket_is_served(served: Served) -> None:
    """Like one that was accepted, until its other end closes."""
    ours, theirs = socket.socketpair()
    served.server.adopt(theirs)
    peer = await served.connect()
    (first, _) = served.connections
    ours.setblocking(False)
    ours.sendall(peer.frame(Op.GET_DOMAIN_PATH, b"0\0"))
    await peer.ping()

    assert ours.recv(100)[16:] == b"/local/domain/0\0"
    ours.close()
    await served.until(lambda: first not in served.connections)


def test_a_socket_can_be_taken_away_from_who_listens_there(directory: Path) -> None:
    """By whoever has the socket that it is named after; nothing else is touched."""
    path = directory / "socket.dom5"
    with listening(str(path)):
        take_away(str(path))
        assert not path.exists()
    take_away(str(path))
    path.write_text("no socket")
    take_away(str(path))

    assert path.read_text() == "no socket"
