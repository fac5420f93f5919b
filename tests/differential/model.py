"""Request sequences, written as a client would say them, and how they are printed.

    sequence(
        "write in a transaction is unseen until the commit",
        c0.start("t"),
        c0.write("/a", "1", tx="t"),
        c1.read("/a"),
        c0.commit("t"),
        c1.read("/a"),
    )

`c0`, `c1` and `c2` are connections, each opened at its first request. A
transaction has a name, which stands for the id that the daemon at hand gave.
"""

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


def sequence(title: str, *steps: Step, domains: tuple[int, ...] = ()) -> Sequence:
    """Make a sequence of steps."""
    return Sequence(title, steps, domains)


@final
class Client:
    """Says in short what one connection asks for; each method makes a step."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def request(
        self, op: int, payload: bytes = b"", *, tx: str | int = 0, starts: str = ""
    ) -> Step:
        """Any message."""
        return Step(self.number, (Request(op, payload, tx, starts),))

    def strings(self, op: int, *strings: Text, tx: str | int = 0) -> Step:
        """A message with strings, each with its NUL."""
        return self.request(op, joined(strings), tx=tx)

    def together(self, *steps: Step) -> Step:
        """Requests of several steps, sent in one piece."""
        return Step(self.number, tuple(r for step in steps for r in step.requests))

    def raw(self, data: bytes, *before: Step) -> Step:
        """Bytes, after the requests of other steps, in one piece."""
        requests = tuple(r for step in before for r in step.requests)
        return Step(self.number, requests, raw=data)

    def close(self) -> Step:
        """The client goes."""
        return Step(self.number, closes=True)

    def read(self, path: Text, *, tx: str | int = 0) -> Step:
        """READ."""
        return self.strings(Op.READ, path, tx=tx)

    def ls(self, path: Text, *, tx: str | int = 0) -> Step:
        """DIRECTORY."""
        return self.strings(Op.DIRECTORY, path, tx=tx)

    def part(self, path: Text, offset: Text | int, *, tx: str | int = 0) -> Step:
        """DIRECTORY_PART."""
        text = str(offset) if isinstance(offset, int) else offset
        return self.strings(Op.DIRECTORY_PART, path, text, tx=tx)

    def write(self, path: Text, value: Text = b"", *, tx: str | int = 0) -> Step:
        """WRITE."""
        return self.request(Op.WRITE, joined([path]) + as_bytes(value), tx=tx)

    def mkdir(self, path: Text, *, tx: str | int = 0) -> Step:
        """MKDIR."""
        return self.strings(Op.MKDIR, path, tx=tx)

    def rm(self, path: Text, *, tx: str | int = 0) -> Step:
        """RM."""
        return self.strings(Op.RM, path, tx=tx)

    def get_perms(self, path: Text, *, tx: str | int = 0) -> Step:
        """GET_PERMS."""
        return self.strings(Op.GET_PERMS, path, tx=tx)

    def set_perms(self, path: Text, *entries: Text, tx: str | int = 0) -> Step:
        """SET_PERMS."""
        return self.strings(Op.SET_PERMS, path, *entries, tx=tx)

    def watch(self, path: Text, token: Text, *more: Text) -> Step:
        """WATCH; a third string is the depth."""
        return self.strings(Op.WATCH, path, token, *more)

    def unwatch(self, path: Text, token: Text) -> Step:
        """UNWATCH."""
        return self.strings(Op.UNWATCH, path, token)

    def reset_watches(self, *, tx: str | int = 0) -> Step:
        """RESET_WATCHES."""
        return self.strings(Op.RESET_WATCHES, "", tx=tx)

    def start(self, name: str) -> Step:
        """TRANSACTION_START; the transaction is called by the name then."""
        return self.request(Op.TRANSACTION_START, b"\0", starts=name)

    def commit(self, tx: str | int) -> Step:
        """TRANSACTION_END with T."""
        return self.strings(Op.TRANSACTION_END, "T", tx=tx)

    def abort(self, tx: str | int) -> Step:
        """TRANSACTION_END with F."""
        return self.strings(Op.TRANSACTION_END, "F", tx=tx)

    def control(self, *words: Text, tx: str | int = 0) -> Step:
        """CONTROL."""
        return self.strings(Op.CONTROL, *words, tx=tx)

    def introduce(self, domid: int) -> Step:
        """INTRODUCE with the port that the domain's event channel has."""
        return self.strings(Op.INTRODUCE, str(domid), "4096", str(100 + domid))

    def release(self, domid: Text | int) -> Step:
        """RELEASE."""
        return self.strings(Op.RELEASE, _number(domid))

    def is_introduced(self, domid: Text | int) -> Step:
        """IS_DOMAIN_INTRODUCED."""
        return self.strings(Op.IS_DOMAIN_INTRODUCED, _number(domid))

    def domain_path(self, domid: Text | int) -> Step:
        """GET_DOMAIN_PATH."""
        return self.strings(Op.GET_DOMAIN_PATH, _number(domid))

    def resume(self, domid: Text | int) -> Step:
        """RESUME."""
        return self.strings(Op.RESUME, _number(domid))

    def set_target(self, domid: Text | int, target: Text | int) -> Step:
        """SET_TARGET."""
        return self.strings(Op.SET_TARGET, _number(domid), _number(target))


c0: Final = Client(0)
c1: Final = Client(1)
c2: Final = Client(2)


def as_bytes(text: Text) -> bytes:
    """Text as it goes over the wire."""
    return text if isinstance(text, bytes) else text.encode()


def joined(strings: list[Text] | tuple[Text, ...]) -> bytes:
    """Strings as they stand in a payload, each with its NUL."""
    return b"".join([as_bytes(text) + b"\0" for text in strings])


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


def _number(value: Text | int) -> bytes:
    return b"%d" % value if isinstance(value, int) else as_bytes(value)
