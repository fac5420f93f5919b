"""xsd.client.client: watches, repeated transactions, domains, the daemon itself."""

from collections.abc import Callable
from operator import methodcaller as call
from pathlib import Path

import pytest

from tests.support.scripted import ScriptedDaemon
from xsd.client import Client, Event, Transaction
from xsd.protocol.errors import XenStoreError
from xsd.protocol.ops import Op

PATIENCE_S = 10.0


def test_path_comes_from_the_environment(
    daemon_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is told no path takes libxenstore's."""
    monkeypatch.delenv("XENSTORED_PATH", raising=False)
    monkeypatch.setenv("XENSTORED_RUNDIR", str(daemon_socket.parent))

    with Client() as client:
        assert client.get_domain_path(0) == b"/local/domain/0"


def test_watch_fires_at_once_and_for_each_change_of_anybody(
    client: Client, second: Client
) -> None:
    """The first event tells of no change; all wait until they are asked for."""
    client.watch("/t", "token")
    second.write("/t/a/b", b"1")
    second.rm("/t/a")
    client.write("/t/c", b"1")

    events = [client.next_event(PATIENCE_S) for _ in range(4)]
    named = (b"/t", b"/t/a/b", b"/t/a", b"/t/c")
    assert events == [Event(path, b"token") for path in named]


def test_same_watch_twice_is_eexist(client: Client) -> None:
    """A path may be watched again with another token."""
    client.watch("/t", "1")
    client.watch("/t", "2")

    with pytest.raises(XenStoreError, match=r"^EEXIST"):
        client.watch("/t", "1")


def test_unwatch_ends_a_watch(client: Client) -> None:
    """A second time there is none."""
    client.watch("/t", "1")
    client.unwatch("/t", "1")
    assert client.next_event(PATIENCE_S) == Event(b"/t", b"1")

    client.write("/t/a", b"")

    assert client.next_event(0) is None
    with pytest.raises(XenStoreError, match=r"^ENOENT"):
        client.unwatch("/t", "1")


def test_reset_ends_watches_and_transactions(client: Client) -> None:
    """As if the connection were new."""
    client.watch("/t", "1")
    transaction = client.transaction()

    client.reset_watches()

    client.watch("/t", "1")
    with pytest.raises(XenStoreError, match=r"^ENOENT"):
        transaction.read("/t")


def test_transaction_runs_again_after_a_conflict(
    client: Client, second: Client
) -> None:
    """The work sees the new value in its second run."""
    client.write("/t/a", b"1")
    runs: list[bytes] = []

    def increment(transaction: Transaction) -> bytes:
        value = transaction.read("/t/a")
        runs.append(value)
        if len(runs) == 1:
            second.write("/t/a", b"5")
        value = b"%d" % (int(value) + 1)
        transaction.write("/t/a", value)
        return value

    assert client.run_transaction(increment, pause=lambda _: None) == b"6"
    assert runs == [b"1", b"5"]
    assert client.read("/t/a") == b"6"


def test_attempts_are_bounded(client: Client, second: Client) -> None:
    """The last failure is raised without a pause; the default pauses are short."""
    client.write("/t/a", b"")
    calls: list[str] = []

    def conflicting(transaction: Transaction) -> None:
        calls.append("work")
        transaction.write("/t/a", transaction.read("/t/a"))
        second.write("/t/a", b"")

    def pause(made: int) -> None:
        calls.append(f"pause {made}")

    with pytest.raises(XenStoreError, match=r"^EAGAIN"):
        client.run_transaction(conflicting, attempts=3, pause=pause)
    assert calls == ["work", "pause 1", "work", "pause 2", "work"]

    calls.clear()
    with pytest.raises(XenStoreError, match=r"^EAGAIN"):
        client.run_transaction(conflicting, attempts=2)
    assert calls == ["work", "work"]


def test_other_errors_are_not_repeated(client: Client) -> None:
    """The transaction is aborted and the error raised."""
    runs: list[int] = []

    def work(transaction: Transaction) -> None:
        runs.append(1)
        transaction.write("/t/a", b"1")
        transaction.read("/t/none")

    with pytest.raises(XenStoreError, match=r"^ENOENT"):
        client.run_transaction(work)

    assert (len(runs), client.directory("/t")) == (1, [])


def test_no_attempts_is_a_mistake(scripted: ScriptedDaemon) -> None:
    """The work would never be done, without a sign of it."""
    with pytest.raises(ValueError, match="attempts is 0"):
        scripted.client.run_transaction(lambda _: None, attempts=0)


def test_control_returns_the_answer(client: Client) -> None:
    """Without the NUL at its end."""
    assert b"quota" in client.control("help")
    assert not client.control("help").endswith(b"\0")


def test_domain_zero_is_introduced_and_no_other(client: Client) -> None:
    """A domain has a home whether it exists or not, and cannot be released twice."""
    assert client.is_domain_introduced(0)
    assert not client.is_domain_introduced(5)
    assert client.get_domain_path(5) == b"/local/domain/5"
    with pytest.raises(XenStoreError, match=r"^ENOENT"):
        client.release(5)


OK = (b"OK\0", None)


@pytest.mark.parametrize(
    ("call", "op", "payload", "reply", "result"),
    [
        # Text is UTF-8.
        (call("read", "/ä"), Op.READ, b"/\xc3\xa4\0", b"1", b"1"),
        # Depth is a third string, and left out where none is given: older daemons
        # refuse it.
        (call("watch", "/a", b"t"), Op.WATCH, b"/a\0t\0", *OK),
        (call("watch", "/a", b"u", depth=0), Op.WATCH, b"/a\0u\x000\0", *OK),
        (call("control", "print", b"a"), Op.CONTROL, b"print\0a\0", b"yes", b"yes"),
        (call("introduce", 5, 100, 7), Op.INTRODUCE, b"5\x00100\x007\0", *OK),
        (call("release", 5), Op.RELEASE, b"5\0", *OK),
        (call("resume", 5), Op.RESUME, b"5\0", *OK),
        (call("set_target", 5, 6), Op.SET_TARGET, b"5\x006\0", *OK),
        (call("reset_watches"), Op.RESET_WATCHES, b"\0", *OK),
        (call("set_feature", 5, 14), Op.SET_FEATURE, b"5\x0014\0", *OK),
        (call("get_feature"), Op.GET_FEATURE, b"", b"14\0", 14),
        (call("get_feature", 5), Op.GET_FEATURE, b"5\0", b"14", 14),
        (call("quota_names"), Op.GET_QUOTA, b"", b"a b\0", [b"a", b"b"]),
        (call("get_quota", "a"), Op.GET_QUOTA, b"a\0", b"1000\0", 1000),
        (call("get_quota", "a", domid=5), Op.GET_QUOTA, b"5\0a\0", b"0", 0),
        (call("set_quota", "a", 9), Op.SET_QUOTA, b"a\x009\0", *OK),
        (call("set_quota", "a", 9, domid=5), Op.SET_QUOTA, b"5\0a\x009\0", *OK),
    ],
)
def test_arguments_travel_as_strings_with_a_nul_each(
    scripted: ScriptedDaemon,
    call: Callable[[Client], object],
    op: Op,
    payload: bytes,
    reply: bytes,
    result: object,
) -> None:
    """Numbers in decimal; an answer may come with a NUL or without."""
    scripted.answer(op, reply)

    assert call(scripted.client) == result
    (frame,) = scripted.requests()
    assert (frame.op, frame.payload) == (op, payload)
