"""How much log an hour leaves in which clients repeat what they can."""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs.test_logs_page import PAGES_ROWS
from tests.transport.support import Served, run
from tests.transport.test_reactor import has_come
from xsd.daemon.service import log_notice
from xsd.engine import Notice
from xsd.engine.loglimit import AT_ONCE
from xsd.protocol.ops import OP_LIMIT
from xsd.transport.unix import UnixServer

MINUTES: Final = 60
LINES_MAX: Final = AT_ONCE + MINUTES
LINE_MAX: Final = 2_000
"""Bytes of a line: a path of 256 bytes that are all escaped, and the rest."""

LONG: Final = b"/" + b"\xff" * 3000

WORDS: Final = (
    *(b"", b"\0", b"//\0", b"/\0", b"/\0v", b"/big\0", b"x\0t\0", b"T\0", b"7\0"),
    *(b"n0\0", b"/x\0n7\0", b"1\x001\x007\0", b"check\0", b"print\0text\0", LONG, b"x"),
    *(LONG + b"\0v", b"/\0" + bytes(3000), b"memreport\0", b"@x\0t\0"),
)
"""Payloads; each is sent with each type of message."""


def requests() -> Iterator[tuple[int, bytes]]:
    for op in (*range(OP_LIMIT), 99):
        for payload in WORDS:
            yield op, payload


def count(log: io.StringIO) -> tuple[Counter[tuple[str, int]], int]:
    """Lines by event and domain, and what was left out in all."""
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in log.getvalue().splitlines()
    ]
    found: Counter[tuple[str, int]] = Counter()
    for line in lines:
        event = line["what"] if line["event"] == "log.left_out" else line["event"]
        found[event, line.get("domid", -1)] += 1
    return found, sum(line.get("left_out", 0) for line in lines)


async def repeat(served: Served, path: str) -> None:
    """Send all requests, ten on a connection; then say something impossible."""
    every = list(requests())
    for first in range(0, len(every), 10):
        peer = served.connect_unseen(path)
        for op, payload in every[first : first + 10]:
            peer.sock.send(peer.frame(op, payload))
        peer.sock.send(b"\xff" * 16)
        await served.until(lambda: not served.is_busy)
        assert has_come(peer)
        peer.close()
    served.reactor.run()


@pytest.mark.slow
def test_what_clients_repeat_for_an_hour_leaves_little(
    directory: Path, log: io.StringIO
) -> None:
    """A guest, and clients of dom0 that come and go, with every kind of request."""

    async def body(served: Served) -> None:
        served.on_notice = log_notice
        served.stop_clock()
        guests = UnixServer(served.reactor, served.path + ".dom5", 5)
        guests.start()
        for _ in range(MINUTES):
            for path in (served.path, served.path + ".dom5"):
                await repeat(served, path)
            served.pass_time(60)
        guests.close()

    run(directory, body)
    found, left_out = count(log)
    for event in ("request.refused", "connection.broken"):
        assert (found[event, 0], found[event, 5]) == (LINES_MAX, LINES_MAX)
    assert left_out > 100 * MINUTES
    assert max(found.values()) == LINES_MAX
    assert len(log.getvalue()) < len(found) * LINES_MAX * LINE_MAX / 4


@pytest.mark.parametrize(
    "event",
    [
        event
        for event, row in PAGES_ROWS.items()
        if row.level not in {"trace", "debug"} and event != "log.left_out"
    ],
)
def test_each_kind_of_line_is_limited_and_counted(
    directory: Path, log: io.StringIO, event: str
) -> None:
    """Whoever repeats it, and however: about a domain or none, a defect or not."""
    level = PAGES_ROWS[event].level
    tell: list[Callable[[], Notice]] = [
        lambda: Notice(level, event, {"connection": 1, "domid": 5}),
        lambda: Notice(level, event, {}),
        lambda: Notice(level, event, {"domid": 6}, ZeroDivisionError("a defect")),
    ]
    repeated = 30 * MINUTES

    async def body(served: Served) -> None:
        served.on_notice = log_notice
        served.stop_clock()
        for _ in range(repeated):
            for each in tell:
                served.reactor.note(each())
            served.pass_time(2)

    run(directory, body)
    found, left_out = count(log)
    assert set(found) == {(event, 5), (event, -1), (event, 6)}
    assert max(found.values()) <= LINES_MAX
    told = sum(1 for line in log.getvalue().splitlines() if "log.left_out" not in line)
    assert told + left_out == repeated * len(tell)
