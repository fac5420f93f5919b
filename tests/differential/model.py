"""Request sequences, written as a client would say them, and how they are printed.

    sequence(
        "write in a transaction is unseen until the commit",
        "start t; t: write /a 1; 1 read /a; commit t; 1 read /a",
    )

A request is named as `ask` says; the words are its strings. Before it stand the
number of its connection (0 if left out; each is opened at its first request) and, with
a colon, its transaction: an id, or a name, which stands for the id that the daemon at
hand gave. `watch_each` watches each path with a token of its own. Requests with `+`
between them are sent in one piece. Words with blanks, or without anything, stand in
single quotes; escapes are Python's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op

SYNC_ID: Final = 0xFFFFFFFE
"""Request id of the requests that the runner itself puts between steps."""

_SHOWN: Final = 60

Text = str | bytes


@final
@dataclass(frozen=True, slots=True)
class Request:
    """One message to send.

    Attributes:
        op: Message type, any 32-bit number.
        payload: The whole payload.
        tx: Name of a transaction that the connection started, or an id.
        starts: Name for the transaction that this request starts, or empty.
    """

    op: int
    payload: bytes
    tx: str | int = 0
    starts: str = ""

    def __str__(self) -> str:
        words = [op_name(self.op)]
        if self.tx:
            words.insert(0, f"[{self.tx}]")
        words.append(shorten(self.payload))
        if self.starts:
            words.append(f"-> [{self.starts}]")
        return " ".join(words)


@final
@dataclass(frozen=True, slots=True)
class Step:
    """What one connection does before anybody does something else.

    Attributes:
        connection: Number of the connection.
        requests: Sent together, in one piece; mostly one.
        raw: Bytes sent after the requests; they make the connection useless
            unless they are whole frames.
        closes: The client closes the connection.
    """

    connection: int
    requests: tuple[Request, ...] = ()
    raw: bytes = b""
    closes: bool = False

    def __str__(self) -> str:
        parts = [str(request) for request in self.requests]
        if self.raw:
            parts.append("bytes " + shorten(self.raw))
        if self.closes:
            parts.append("closes")
        return f"c{self.connection} " + "  +  ".join(parts)


@final
@dataclass(frozen=True, slots=True)
class Sequence:
    """Steps for an empty store and new connections.

    Attributes:
        title: What it is about, a phrase.
        steps: What is done.
        domains: Domains that the hypervisor has, none of them introduced.
            Their event channels have port 100 + domid.
    """

    title: str
    steps: tuple[Step, ...]
    domains: tuple[int, ...] = ()

    def __str__(self) -> str:
        lines = [self.title]
        lines += [f"  {index:2} {step}" for index, step in enumerate(self.steps)]
        return "\n".join(lines)


VERBS: Final[dict[str, Op]] = {
    "control": Op.CONTROL,
    "domain_path": Op.GET_DOMAIN_PATH,
    "get_perms": Op.GET_PERMS,
    "introduce": Op.INTRODUCE,
    "is_introduced": Op.IS_DOMAIN_INTRODUCED,
    "ls": Op.DIRECTORY,
    "mkdir": Op.MKDIR,
    "part": Op.DIRECTORY_PART,
    "read": Op.READ,
    "release": Op.RELEASE,
    "resume": Op.RESUME,
    "rm": Op.RM,
    "set_perms": Op.SET_PERMS,
    "set_target": Op.SET_TARGET,
    "unwatch": Op.UNWATCH,
    "watch": Op.WATCH,
}
"""Requests whose payload is strings, each with its NUL."""

_REQUEST: Final = re.compile(r"(?:(\d) )?(?:(\w+): )?(\w+)((?: .+)?)")
_WORD: Final = re.compile(r"'([^']*)'|([^ ]+)")


def ask(connection: int, verb: str, *words: Text, tx: str | int = 0) -> Step:
    """Return the step in which a connection makes one request.

    Args:
        connection: Its number.
        verb: One of VERBS; `write` with a path and bytes; `start`, `commit` and
            `abort` with a transaction; `introduce` with a domain alone, for the port
            that its event channel has; a message type in capitals with the payload;
            `type` with a number and the payload; `close`.
        words: What belongs to the verb.
        tx: The transaction in which the request is made.
    """
    told = [as_bytes(word) for word in words]
    starts = ""
    if verb == "close":
        return Step(connection, closes=True)
    if verb == "start":
        op, payload, starts = Op.TRANSACTION_START, b"\0", told[0].decode()
    elif verb in {"commit", "abort"}:
        op, payload = Op.TRANSACTION_END, b"T\0" if verb == "commit" else b"F\0"
        tx = _transaction(told[0].decode())
    elif verb == "write":
        op, payload = Op.WRITE, joined(told[:1]) + b"".join(told[1:])
    elif verb == "type":
        return Step(connection, (Request(int(told[0]), b"".join(told[1:]), tx),))
    elif verb.isupper():
        op, payload = Op[verb], b"".join(told)
    else:
        if verb == "introduce" and len(told) == 1:
            told += [b"4096", b"%d" % (100 + int(told[0]))]
        op, payload = VERBS[verb], joined(told)
    return Step(connection, (Request(op, payload, tx, starts),))


def together(*steps: Step, raw: bytes = b"") -> Step:
    """Requests of several steps, and then perhaps other bytes, sent in one piece."""
    requests = tuple(request for step in steps for request in step.requests)
    return Step(steps[0].connection, requests, raw)


def script(text: str) -> list[Step]:
    """Return the steps of a script; one a line, or with semicolons between them."""
    return [
        step
        for line in text.splitlines()
        for part in line.split(";")
        if part.strip()
        for step in _spoken(part.strip())
    ]


def said(text: str) -> Step:
    """Return the only step of a script."""
    (step,) = script(text)
    return step


def sequence(title: str, *steps: Step | str, domains: tuple[int, ...] = ()) -> Sequence:
    """Make a sequence of steps and of scripts."""
    done = [
        step
        for each in steps
        for step in (script(each) if isinstance(each, str) else [each])
    ]
    return Sequence(title, tuple(done), domains)


def scripts(text: str, domains: tuple[int, ...] = ()) -> Iterator[Sequence]:
    """Make sequences of scripts that stand indented, each below its title."""
    for block in re.split(r"\n(?! )", text)[1:-1]:
        title, steps = block.split("\n", 1)
        yield sequence(title, steps, domains=domains)


def _spoken(part: str) -> list[Step]:
    if " + " in part:
        return [together(*map(said, part.split(" + ")))]
    found = _REQUEST.fullmatch(part)
    if found is None:
        raise ValueError(part)
    number, tx, verb, rest = found.groups()
    connection = int(number or 0)
    words = [_unescaped(quoted or word) for quoted, word in _WORD.findall(rest)]
    if verb == "watch_each":
        # Each with a token of its own.
        return [ask(connection, "watch", word, b"at " + word) for word in words]
    return [ask(connection, verb, *words, tx=_transaction(tx or "0"))]


def _unescaped(text: str) -> bytes:
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def _transaction(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def as_bytes(text: Text) -> bytes:
    """Text as it goes over the wire."""
    return text if isinstance(text, bytes) else text.encode()


def joined(strings: list[bytes]) -> bytes:
    """Strings as they stand in a payload, each with its NUL."""
    return b"".join([text + b"\0" for text in strings])


def op_name(op: int) -> str:
    """Name of a message type, or its number."""
    try:
        return Op(op).name
    except ValueError:
        return f"type {op}"


def shorten(data: bytes) -> str:
    """Bytes for people: long ones cut, their length told."""
    if len(data) <= _SHOWN:
        return repr(data)[1:]
    return f"{data[:_SHOWN]!r}"[1:] + f"... ({len(data)} bytes)"


def encode(request: Request, req_id: int, tx_id: int) -> bytes:
    """A request as a frame; unlike a client's, its length is not checked."""
    return encode_frame(request.op, req_id, tx_id, request.payload)
