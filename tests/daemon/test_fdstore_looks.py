"""xsd.daemon.fdstore: what is done in a second, and by whom it is heard."""

import asyncio
import io
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.transport.support import Served, serving
from xsd.daemon.fdstore import STORED_AT_ONCE, DescriptorStore
from xsd.daemon.logsetup import StreamSink, configure
from xsd.persistence.directory import Directory
from xsd.persistence.marks import Marks

MOST = 4096


@contextmanager
def storing(served: Served) -> Iterator[tuple[DescriptorStore, socket.socket]]:
    """A server whose clients are stored, and the manager's socket."""
    path = Path(served.path).with_name("notify")
    directory = Directory(path.with_name("journal"), make=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.setblocking(False)
        store = DescriptorStore({"NOTIFY_SOCKET": str(path)}, has_listener=True)
        store.open(directory)
        store.begin(served.engine, served.server, asyncio.get_running_loop())
        try:
            yield store, manager
        finally:
            store.close()
            directory.close()


def heard(manager: socket.socket) -> list[str]:
    """Names in what has been said; the kernel closes the descriptors."""
    names: list[str] = []
    while True:
        try:
            message = manager.recv(MOST)
        except BlockingIOError:
            return names
        names.append(message.decode().partition("FDNAME=")[2])


def is_marked(served: Served) -> bool:
    """Whether it is said of the newest client where it is."""
    return served.last.mark is not None


def looked(store: DescriptorStore, manager: socket.socket) -> list[str]:
    """What is said in one second."""
    store.look()
    return heard(manager)


@serving
async def test_who_is_there_for_a_second_is_stored(served: Served) -> None:
    """Not in the second in which it comes; and once only."""
    with storing(served) as (store, manager):
        await served.connect()
        name = f"client-{served.last.id}"
        assert looked(store, manager) == []
        assert not is_marked(served)

        assert looked(store, manager) == [name]
        assert is_marked(served)
        assert looked(store, manager) == []


@serving
async def test_our_own_client_is_not_stored(served: Served) -> None:
    """The watchdog's other end is gone with us."""
    with storing(served) as (store, manager):
        ours, theirs = socket.socketpair()
        served.server.adopt(theirs)
        with ours:
            assert looked(store, manager) + looked(store, manager) == []
        await served.until(lambda: served.connections == [])


@serving
async def test_nobody_waits_for_a_manager_that_does_not_read(served: Served) -> None:
    """What it does not take is offered again, in order, and nothing twice."""
    with storing(served) as (store, manager):
        for _ in range(30):
            await served.connect()
        names = [f"client-{each.id}" for each in served.connections]
        store.look()
        found: list[str] = []
        seconds = 0
        while len(found) < len(names):
            store.look()
            # The kernel keeps a few for it, and then no more.
            found += heard(manager)
            seconds += 1
        assert found == names
        assert seconds > 1


@serving
async def test_so_many_are_stored_in_a_second(served: Served) -> None:
    """There are clients who want to be answered."""
    sent: list[object] = []
    with storing(served) as (store, _manager), pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "send_fds", lambda *words: sent.append(words))
        for _ in range(STORED_AT_ONCE + 5):
            await served.connect()
        for expected in (0, STORED_AT_ONCE, STORED_AT_ONCE + 5):
            store.look()
            assert len(sent) == expected


@pytest.mark.pure_only
@serving
async def test_where_there_is_no_room_it_is_said_once(served: Served) -> None:
    """Whoever has to wait is stored when there is room."""
    stream = io.StringIO()
    configure(StreamSink(stream))
    with storing(served) as (store, manager):
        await served.connect()
        store.look()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Marks, "take", lambda *_, **__: None)
            assert looked(store, manager) + looked(store, manager) == []
        assert looked(store, manager) == [f"client-{served.last.id}"]
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events == ["clients.not_kept"]


@serving
async def test_a_manager_that_is_gone_is_said_once(served: Served) -> None:
    """And the clients are served as before."""
    stream = io.StringIO()
    configure(StreamSink(stream))
    with storing(served) as (store, manager):
        peer = await served.connect()
        manager.close()
        for _ in range(3):
            store.look()
        assert not is_marked(served)
        await peer.ping()
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events == ["clients.not_kept"]


@serving
async def test_what_is_handed_on_is_stored_no_longer(served: Served) -> None:
    """Who takes over and knows nothing of it could not end a client's connection."""
    with storing(served) as (store, manager):
        await served.connect()
        store.look()
        name = f"client-{served.last.id}"
        assert looked(store, manager) == [name]

        store.empty()

        assert heard(manager) == ["listener", name]
        assert not is_marked(served)
        # It was not handed on after all.
        assert looked(store, manager)[-1:] == [name]
