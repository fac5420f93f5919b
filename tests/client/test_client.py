"""xsd.client.client: watches, repeated transactions, domains, the daemon itself."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.scripted import ScriptedDaemon
from xsd.client import Client, Event, Transaction
from xsd.protocol.errors import Errno, XenStoreError
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


def test_watch_fires_at_once_and_for_each_change(
    client: Client, second: Client
) -> None:
    """The first event tells of no change; the others name the node."""
    client.watch("/t", "token")
    assert client.next_event(PATIENCE_S) == Event(b"/t", b"token")

    second.write("/t/a/b", b"1")
    assert client.next_event(PATIENCE_S) == Event(b"/t/a/b", b"token")
    second.rm("/t/a/b")
    assert client.next_event(PATIENCE_S) == Event(b"/t/a/b", b"token")


def test_own_changes_are_told_too(client: Client) -> None:
    """The event comes before the reply, and waits until it is asked for."""
    client.watch("/t", "token")
    client.write("/t/a", b"1")

    events = [client.next_event(PATIENCE_S) for _ in range(2)]
    assert events == [Event(b"/t", b"token"), Event(b"/t/a", b"token")]


def test_same_watch_twice_is_eexist(client: Client) -> None:
    """A path may be watched again with another token."""
    client.watch("/t", "1")
    client.watch("/t", "2")

    with pytest.raises(XenStoreError) as caught:
        client.watch("/t", "1")

    assert caught.value.errno == Errno.EEXIST


def test_unwatch_ends_a_watch(client: Client) -> None:
    """A second time there is none."""
    client.watch("/t", "1")
    client.unwatch("/t", "1")
    assert client.next_event(PATIENCE_S) == Event(b"/t", b"1")

    client.write("/t/a", b"")

    assert client.next_event(0) is None
    with pytest.raises(XenStoreError) as caught:
        client.unwatch("/t", "1")
    assert caught.value.errno == Errno.ENOENT


def test_reset_ends_watches_and_transactions(client: Client) -> None:
    """As if the connection were new."""
    client.watch("/t", "1")
    transaction = client.transaction()

    client.reset_watches()

    client.watch("/t", "1")
    with pytest.raises(XenStoreError) as caught:
        transaction.read("/t")
    assert caught.value.errno == Errno.ENOENT


def test_depth_is_a_third_string(scripted: ScriptedDaemon) -> None:
    """It is left out where none is given: older daemons refuse it."""
    scripted.answer(Op.WATCH, b"OK\0")
    scripted.answer(Op.WATCH, b"OK\0")

    scripted.client.watch("/a", b"t")
    scripted.client.watch("/a", b"u", depth=0)

    payloads = [frame.payload for frame in scripted.requests()]
    assert payloads == [b"/a\0t\0", b"/a\0u\x000\0"]


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


def conflicting(client: Client, calls: list[str]) -> Callable[[Transaction], None]:
    """Return work whose commit always fails."""

    def work(transaction: Transaction) -> None:
        calls.append("work")
        transaction.write("/t/a", transaction.read("/t/a"))
        client.write("/t/a", b"")

    return work


def test_attempts_are_bounded(client: Client, second: Client) -> None:
    """The last failure is raised, without a pause after it."""
    client.write("/t/a", b"")
    calls: list[str] = []

    with pytest.raises(XenStoreError) as caught:
        client.run_transaction(
            conflicting(second, calls),
            attempts=3,
            pause=lambda made: calls.append(f"pause {made}"),
        )

    assert caught.value.errno == Errno.EAGAIN
    assert calls == ["work", "pause 1", "work", "pause 2", "work"]


def test_pause_is_the_default_back_off(client: Client, second: Client) -> None:
    """Two attempts with the real pause, which is at most a millisecond."""
    client.write("/t/a", b"")
    calls: list[str] = []

    with pytest.raises(XenStoreError):
        client.run_transaction(conflicting(second, calls), attempts=2)

    assert calls == ["work", "work"]


def test_other_errors_are_not_repeated(client: Client) -> None:
    """The transaction is aborted and the error raised."""
    runs: list[int] = []

    def work(transaction: Transaction) -> None:
        runs.append(1)
        transaction.write("/t/a", b"1")
        transaction.read("/t/none")

    with pytest.raises(XenStoreError) as caught:
        client.run_transaction(work)

    assert caught.value.errno == Errno.ENOENT
    assert (len(runs), client.directory("/t")) == (1, [])


def test_no_attempts_is_a_mistake(scripted: ScriptedDaemon) -> None:
    """The work would never be done, without a sign of it."""
    with pytest.raises(ValueError, match="attempts is 0"):
        scripted.client.run_transaction(lambda _: None, attempts=0)


def test_control_returns_the_answer(client: Client) -> None:
    """Without the NUL at its end."""
    assert b"quota" in client.control("help")
    assert not client.control("help").endswith(b"\0")


def test_control_without_a_nul_at_the_end(scripted: ScriptedDaemon) -> None:
    """Some answers have none."""
    scripted.answer(Op.CONTROL, b"yes")

    assert scripted.client.control("print", b"text") == b"yes"
    assert scripted.requests()[0].payload == b"print\0text\0"


def test_domain_zero_is_introduced(client: Client) -> None:
    """And no other, at the start."""
    assert client.is_domain_introduced(0)
    assert not client.is_domain_introduced(5)


def test_domain_path(client: Client) -> None:
    """The home of a domain, whether it exists or not."""
    assert client.get_domain_path(5) == b"/local/domain/5"


def test_release_of_an_unknown_domain_is_enoent(client: Client) -> None:
    """The errno says so."""
    with pytest.raises(XenStoreError) as caught:
        client.release(5)

    assert caught.value.errno == Errno.ENOENT


class Exchange(NamedTuple):
    """What is sent, what is answered, and what the caller gets."""

    op: Op
    payload: bytes
    reply: bytes = b"OK\0"
    result: object = None


@pytest.mark.parametrize(
    ("call", "exchange"),
    [
        (lambda c: c.introduce(5, 100, 7), Exchange(Op.INTRODUCE, b"5\x00100\x007\0")),
        (lambda c: c.release(5), Exchange(Op.RELEASE, b"5\0")),
        (lambda c: c.resume(5), Exchange(Op.RESUME, b"5\0")),
        (lambda c: c.set_target(5, 6), Exchange(Op.SET_TARGET, b"5\x006\0")),
        (lambda c: c.reset_watches(), Exchange(Op.RESET_WATCHES, b"\0")),
        (lambda c: c.set_feature(5, 14), Exchange(Op.SET_FEATURE, b"5\x0014\0")),
        (lambda c: c.get_feature(), Exchange(Op.GET_FEATURE, b"", b"14\0", 14)),
        (lambda c: c.get_feature(5), Exchange(Op.GET_FEATURE, b"5\0", b"14", 14)),
        (
            lambda c: c.quota_names(),
            Exchange(Op.GET_QUOTA, b"", b"nodes watches\0", [b"nodes", b"watches"]),
        ),
        (
            lambda c: c.get_quota("nodes"),
            Exchange(Op.GET_QUOTA, b"nodes\0", b"1000\0", 1000),
        ),
        (
            lambda c: c.get_quota("nodes", domid=5),
            Exchange(Op.GET_QUOTA, b"5\0nodes\0", b"0", 0),
        ),
        (
            lambda c: c.set_quota("nodes", 9),
            Exchange(Op.SET_QUOTA, b"nodes\x009\0"),
        ),
        (
            lambda c: c.set_quota("nodes", 9, domid=5),
            Exchange(Op.SET_QUOTA, b"5\0nodes\x009\0"),
        ),
    ],
)
def test_numbers_travel_in_decimal(
    scripted: ScriptedDaemon, call: Callable[[Client], object], exchange: Exchange
) -> None:
    """Each with its NUL; an answer may come with one or without."""
    scripted.answer(exchange.op, exchange.reply)

    assert call(scripted.client) == exchange.result
    assert [(frame.op, frame.payload) for frame in scripted.requests()] == [
        (exchange.op, exchange.payload)
    ]
