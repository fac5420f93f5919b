"""xsd.transport.reactor: passes, the time between them, and defects in them."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.transport.support import Peer, Served, run, serving
from xsd.engine import Engine, Notice
from xsd.engine.loglimit import AT_ONCE
from xsd.protocol.ops import Op
from xsd.transport.reactor import PASSES_MS, RETRY_S
from xsd.transport.unix import SocketLink


def has_come(peer: Peer) -> list[int]:
    """Types of the messages that wait for a client now."""
    try:
        data = peer.sock.recv(4096)
    except BlockingIOError:
        return []
    return [frame.op for frame in peer._decoder.feed(data)]


async def pair(served: Served) -> tuple[Peer, Peer]:
    """Two clients, of which the second one watches ``/a``."""
    writer, watcher = await served.connect(), await served.connect()
    await watcher.watch(b"/a")
    return writer, watcher


@serving
async def test_all_whom_a_request_concerns_are_told_in_one_pass(served: Served) -> None:
    """And the log is told in the same."""
    writer, watcher = await pair(served)
    writer.sock.send(writer.frame(Op.WRITE, b"/a\0value") + writer.frame(99))
    served.reactor.run()

    assert has_come(writer) == [Op.WRITE, Op.ERROR]
    assert has_come(watcher) == [Op.WATCH_EVENT]
    assert [notice.event for notice in served.notices] == ["request.refused"]


@serving
async def test_what_comes_between_passes_is_answered_at_once(served: Served) -> None:
    """It waits a moment for more; only then have others on the loop their turn."""
    writer, watcher = await pair(served)
    reactor = served.reactor
    reactor.linger_ms = 1000
    served.stop_clock()

    def notice(_: Notice) -> None:
        if len(served.notices) < 4:
            writer.sock.send(writer.frame(99))
        else:
            reactor.linger_ms = 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(served, "on_notice", notice)
        writer.sock.send(writer.frame(99))
        reactor._run(PASSES_MS)

    assert len(served.notices) == 4
    assert has_come(writer) == [Op.ERROR] * 4
    assert has_come(watcher) == []


@serving
async def test_wait_ends_when_the_engine_has_something_to_do(served: Served) -> None:
    """And the loop wakes us at that time if nothing else does."""
    served.stop_clock()
    reactor = served.reactor
    reactor.linger_ms = 5
    schedule = served.engine.core.schedule
    reactor.run()
    now_ms = reactor.now_ms
    waits: list[float] = []

    def poll(wait_s: float, _most: int) -> list[tuple[int, int]]:
        waits.append(wait_s)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reactor, "_poll", poll)
        for due_ms in (now_ms + 50, now_ms + 2):
            reactor._run(PASSES_MS)
            schedule.at(due_ms, 99, 0)
        reactor._run(PASSES_MS)
    assert waits == [0, 0.005, 0, 0.005, 0, 0.002]
    reactor.run()
    assert (reactor._timer_ms, reactor._timer is None) == (now_ms + 2, False)

    assert served.now_s is not None
    served.now_s += 0.002
    reactor._on_time()
    assert reactor._timer_ms == now_ms + 50


@serving
async def test_loop_has_its_turn_however_much_there_is_to_do(served: Served) -> None:
    """Signals, timers and whatever else is on it."""
    peer = await served.connect()
    connection = served.last
    count = 5000
    served.engine.feed(connection, peer.frame(Op.GET_DOMAIN_PATH, b"0\0") * count)
    served.stop_clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(served, "step_s", 0.004)
        served.reactor._run(PASSES_MS)

    turns = PASSES_MS // 4 + 1
    assert count - 64 * turns - 64 <= len(connection.backlog) < count
    assert served.reactor.busy
    served.now_s = None
    await served.until(lambda: not connection.backlog)


# Defects.


@pytest.mark.pure_only
@pytest.mark.parametrize("method", ["on_input", "update"])
def test_defect_of_one_connection_ends_that_one(directory: Path, method: str) -> None:
    """The other one is answered in the same pass; the log has the trace."""
    error = ZeroDivisionError("a defect")
    real = getattr(SocketLink, method)

    async def body(served: Served) -> None:
        bad, good = await served.connect(), await served.connect()
        first = served.connections[0]

        def fail(link: SocketLink) -> None:
            if link.connection is first:
                raise error
            real(link)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SocketLink, method, fail)
            for peer in (bad, good):
                peer.sock.send(peer.frame(Op.GET_DOMAIN_PATH, b"0\0"))
            served.reactor.run()

        assert has_come(good) == [Op.GET_DOMAIN_PATH]
        assert await bad.rest() == []
        (notice,) = served.notices
        assert (notice.event, notice.error) == ("connection.failed", error)
        assert notice.fields == {"connection": first.id, "domid": 0}

    run(directory, body)


@serving
async def test_defect_in_a_callback_makes_it_rest(served: Served) -> None:
    """It would be called again and again; everybody else goes on."""
    peer = await served.connect()
    ours, theirs = socket.socketpair()
    calls = 0

    def fail() -> None:
        nonlocal calls
        calls += 1
        raise ZeroDivisionError("a defect")

    with ours, theirs:
        served.reactor.retry_s = 1000.0
        served.reactor.listen(ours.fileno(), fail)
        theirs.send(b"x")
        for _ in range(3):
            await peer.ping()
        assert calls == 1
        served.reactor._listen_again(ours.fileno())
        await peer.ping()
        assert calls == 2
        served.reactor.ignore(ours.fileno())
        served.reactor._listen_again(ours.fileno())

    assert [notice.event for notice in served.notices] == ["reactor.failed"] * 2


@pytest.mark.pure_only
@serving
async def test_defect_in_a_turn_does_not_end_the_turns(served: Served) -> None:
    """What is due is done a little later, once however often it has failed."""
    peer = await served.connect()
    real = Engine.turn
    left = [ZeroDivisionError("a defect")] * 5
    later: list[float] = []

    class Loop:
        def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
            later.append(delay_s)

    def fail(engine: Engine, now_ms: int) -> None:
        if left:
            raise left.pop()
        real(engine, now_ms)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "turn", fail)
        patch.setattr(served.reactor, "_loop", Loop())
        for _ in range(3):
            served.reactor.run()
    assert later == [RETRY_S]
    served.reactor._retry()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "turn", fail)
        served.reactor.retry_s = 0.0
        await peer.ping()

    assert {notice.fields["what"] for notice in served.notices} == {"turn"}


@serving
async def test_pass_that_cannot_be_made_is_no_reason_to_spin(served: Served) -> None:
    """There is no memory to ask who is ready, and not even for the log's line."""
    peer = await served.connect()
    waits: list[float] = []
    noted: list[str] = []

    def fail(*_: object) -> list[tuple[int, int]]:
        raise MemoryError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(served.reactor, "_poll", fail)
        patch.setattr(time, "sleep", waits.append)
        patch.setattr(served, "on_notice", lambda notice: noted.append(notice.event))
        for told in (1, 1000):
            await peer.send(peer.frame(Op.GET_DOMAIN_PATH, b"0\0"))
            await served.until(lambda: len(waits) >= told)  # noqa: B023
            assert waits == [RETRY_S] * len(waits)

    assert noted == ["reactor.failed"] * AT_ONCE
    assert [frame.op for frame in await peer.frames(2)] == [Op.GET_DOMAIN_PATH] * 2
    await peer.ping()


@serving
async def test_log_that_fails_does_not_end_the_passes(served: Served) -> None:
    """There is nowhere to tell it."""
    peer = await served.connect()

    def fail(_: Notice) -> None:
        raise OSError(28, "no space left")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(served, "on_notice", fail)
        assert (await peer.request(99)).op == Op.ERROR

    await peer.ping()


@serving
async def test_closed_reactor_does_nothing(served: Served) -> None:
    """Whoever is late may still call. What was left out of the log is told before."""
    peer = await served.connect()
    for _ in range(AT_ONCE + 3):
        await peer.request(99)
    reactor = served.reactor
    served.server.close()
    assert not served.is_ready
    for late in (reactor.close, reactor.close, reactor.wake, reactor.run):
        late()
    reactor._on_time()
    reactor._go_on()

    assert not reactor.busy
    assert served.notices[-1].event == "log.left_out"
    assert served.notices[-1].fields["left_out"] == 3
