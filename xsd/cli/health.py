"""`xsd health`: whether the daemon does its work, for container engines and monitors.

It keeps to what every XenStore daemon can: a node of its own, whose name nobody else
has, is watched, written, read and removed. What is only asked for while the daemon
answers cannot stay behind, so the first requests change nothing, and whatever ends
the check early (a refusal, the time limit, SIGTERM) sends the removal behind it.
"""

import math
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from xsd.cli.common import (
    LIMIT_MAX_S,
    ClientParser,
    CommandError,
    ValueMistakeError,
    show,
)
from xsd.client.address import default_socket_path
from xsd.client.client import Client
from xsd.client.nodes import string
from xsd.client.transport import SocketTransport, Transport
from xsd.protocol.errors import XenStoreError
from xsd.protocol.frame import encode_frame
from xsd.protocol.lean import Final, NoReturn, final
from xsd.protocol.ops import Op

_EXAMPLES: Final = """
The exit status is 0 if the daemon does what it should, else 1, and a line says why.

If the daemon has a journal it says how that is, too. One in which changes are not kept
makes the status 1 with --journal only: to start the daemon anew would lose them.

examples:
  xsd health                               ok (0.8 ms)
  xsd health                               ok (0.8 ms), journal ok
  xsd health --journal || echo unsafe      also if changes are not kept
  xsd health --timeout 1 || echo sick      says so after a second at the latest
"""

TIMEOUT_S: Final = 5.0
"""Seconds for everything together, unless told otherwise."""

_KEEPS: Final = ("ok", "short")
"""How a journal is that keeps all changes."""

_TERMINATED: Final = 128 + signal.SIGTERM
"""Exit status after SIGTERM: what a shell shows for a death by it."""


def health(words: Sequence[str], socket: str | None) -> int:
    """Try what a daemon is for, and say how it went."""
    parser = ClientParser(
        "health",
        "Watch, write, read and remove a node, to see that it works.",
        _EXAMPLES,
        limited=False,
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT_S,
        metavar="SECONDS",
        help=f"for everything together (default: {TIMEOUT_S:g})",
    )
    parser.add_argument(
        "--journal",
        action="store_true",
        help="fail also if changes of the store are not kept",
    )
    options = parser.parse(words, socket)
    limit: float = options.timeout
    path = options.socket or default_socket_path(os.environ)
    start = time.monotonic()
    with _ended_by_sigterm():
        line = Line(SocketTransport(path, limit), start + limit)
        with Client(transport=line) as client:
            try:
                check(client, line)
                journal = journal_of(client)
            except TimeoutError:
                raise CommandError(f"no answer within {limit:g} s") from None
    shown = f", journal {journal}" if journal else ""
    print(f"ok ({(time.monotonic() - start) * 1000:.1f} ms){shown}")
    is_kept = journal.partition(":")[0] in _KEEPS
    return 1 if options.journal and not is_kept else 0


@final
class Line(Transport):
    """A socket with one time limit for all of it, and a last word.

    Args:
        socket: Carries the bytes.
        deadline: When to give up, by the monotonic clock.

    Attributes:
        last_word: Is sent before the socket is closed, if there is room; a daemon
            that was only slow reads it behind the request that it was slow with.
    """

    __slots__ = ("_deadline", "_socket", "last_word")

    def __init__(self, socket: SocketTransport, deadline: float) -> None:
        self._socket = socket
        self._deadline = deadline
        self.last_word = b""

    def send(self, data: bytes, timeout: float | None) -> None:
        """See `Transport.send`; the limit is the line's own."""
        self._socket.send(data, self._left())

    def receive(self, timeout: float | None) -> bytes:
        """See `Transport.receive`; the limit is the line's own."""
        return self._socket.receive(self._left())

    def close(self) -> None:
        """See `Transport.close`."""
        if self.last_word:
            with suppress(OSError):
                self._socket.send(self.last_word, 0)
        self._socket.close()

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


def check(client: Client, line: Line) -> None:
    """Go through the life of a node.

    Args:
        client: Connected by `line`.
        line: Gets the removal as its last word while there may be a node.

    Raises:
        CommandError: If an answer is wrong.
        XenStoreError: If a request is refused.
        ConnectionError: If the daemon hangs up.
        TimeoutError: If an answer does not come in time.
    """
    # /tool is there unless somebody has removed it; making it anew would leave it.
    parent = b"/tool" if client.exists(b"/tool") else b""
    token = os.urandom(8).hex().encode()
    node = parent + b"/xsd-health-" + token
    client.watch(node, token)
    _expect_event(client, node, "of the new watch")
    line.last_word = encode_frame(Op.RM, 0, 0, string(node))
    client.write(node, token)
    _expect_event(client, node, "of the write")
    value = client.read(node)
    if value != token:
        raise CommandError(f"wrote '{show(token)}' and read '{show(value)}'")
    client.rm(node)
    line.last_word = b""
    _expect_event(client, node, "of the removal")


def journal_of(client: Client) -> str:
    """How the journal of a daemon is; "" if it has none, or nobody may know.

    Raises:
        ConnectionError: If the daemon hangs up.
        TimeoutError: If an answer does not come in time.
    """
    try:
        told = show(client.control("journal").rstrip(b"\n"))
    except XenStoreError:
        # It is another daemon, or this is no client of dom0's.
        return ""
    return "" if told == "off" else told


def _expect_event(client: Client, node: bytes, what: str) -> None:
    event = client.next_event()
    if event is None:
        raise CommandError(f"no event {what} in time")
    if event.path != node:
        raise CommandError(f"the event {what} names '{show(event.path)}'")


def _seconds(text: str) -> float:
    """Read a time limit.

    Raises:
        ValueMistakeError: If it is none.
    """
    with suppress(ValueError):
        seconds = float(text)
        if math.isfinite(seconds) and 0 < seconds <= LIMIT_MAX_S:
            return seconds
    raise ValueMistakeError(
        f"{text!r} is no number of seconds over 0 and up to {LIMIT_MAX_S:g}"
    )


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as an exception does, so that it is cleaned up."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
