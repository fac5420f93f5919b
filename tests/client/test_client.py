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


OK = (b"OK\0", None)
N0_R5 = [b"n0", b"r5"]
INTRODUCED = (call("is_domain_introduced", 5), Op.IS_DOMAIN_INTRODUCED, b"5\0")


@pytest.mark.parametrize(
    ("call", "op", "payload", "reply", "result"),
    [
        # Text is UTF-8.
        (call("read", "/ä"), Op.READ, b"/\xc3\xa4\0", b"1", b"1"),
        # Depth is a third string, and left out where none is given: older daemons
        # refuse it.
        (call("write", "/a", b"\0\xff"), Op.WRITE, b"/a\0\0\xff", *OK),
        (call("mkdir", "/a"), Op.MKDIR, b"/a\0", *OK),
        (call("rm", "/a"), Op.RM, b"/a\0", *OK),
        (call("directory", "/a"), Op.DIRECTORY, b"/a\0", b"c\0b\0", [b"c", b"b"]),
        (call("directory", "/a"), Op.DIRECTORY, b"/a\0", b"", []),
        (call("get_permissions", "/a"), Op.GET_PERMS, b"/a\0", b"n0\0r5\0", N0_R5),
        (call("set_permissions", "/a", N0_R5), Op.SET_PERMS, b"/a\0n0\0r5\0", *OK),
        (call("watch", "/a", b"t"), Op.WATCH, b"/a\0t\0", *OK),
        (call("watch", "/a", b"u", depth=0), Op.WATCH, b"/a\0u\x000\0", *OK),
        (call("unwatch", "/a", b"t"), Op.UNWATCH, b"/a\0t\0", *OK),
        (call("control", "print", b"a"), Op.CONTROL, b"print\0a\0", b"yes", b"yes"),
        (call("control", "help"), Op.CONTROL, b"help\0", b"it\0", b"it"),
        (call("get_domain_path", 5), Op.GET_DOMAIN_PATH, b"5\0", b"/home\0", b"/home"),
        (*INTRODUCED, b"T\0", True),
        (*INTRODUCED, b"F\0", False),
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
