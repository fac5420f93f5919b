"""Inputs: all that ever changes the state of an engine, as values.

The engine does no I/O and reads no clock, so its state is a function of what came in,
in the order in which it was carried out. Each input that changed something is handed
to a tape, after it was carried out and before anything of its reply leaves; carried
out once more on an engine that began alike, the same inputs make an equal one (see
replay.py). Time decides whether and when an input is carried out, never what it does,
so no input has a time.

What the engine has to ask the world for while it carries an input out (does this
domain exist, can its page be mapped) is part of the input: `Input.answers`.
"""

from abc import ABC, abstractmethod
from typing import Final, final

from mypy_extensions import mypyc_attr

from xsd.protocol.frame import Frame, frame_of

CAME: Final = 0
"""A client of `domid` came, and is `connection` from now on; `numbers` is (1,) if it is
our own kernel."""

WENT: Final = 1
"""The client of `connection` is gone."""

RESTARTED: Final = 2
"""The channel of `connection` began anew."""

REQUEST: Final = 3
"""`frame` was carried out for `connection`."""

DOMAINS: Final = 4
"""Domains shut down or ended: `numbers` are how many shut down, their ids, and the
ids of those that ended."""

FOUND: Final = 5
"""A domain was there of which no toolstack told: `domid`."""

LIMIT: Final = 6
"""A quota was set: `name`, for `domid` (-1: all), to `numbers[0]`."""

ORPHANS: Final = 7
"""The nodes of domains that end are left to dom0 from now on, or not: `numbers[0]`."""

KINDS: Final = (
    "came",
    "went",
    "restarted",
    "request",
    "domains",
    "found",
    "limit",
    "orphans",
)
"""Names of the kinds, by their numbers."""


@final
@mypyc_attr(acyclic=True)
class Input:
    """One input. What does not belong to its kind is 0, None or empty.

    Attributes:
        kind: CAME, WENT, RESTARTED, REQUEST, DOMAINS, FOUND, LIMIT or ORPHANS.
        connection: Number of a connection.
        domid: A domain; of a REQUEST that of its connection, for those who read it.
        header: Of a request: the first 12 bytes of its header.
        payload: Of a request.
        name: Name of a quota.
        numbers: See the kinds.
        answers: What the world answered meanwhile, in order; see outside.py.
        generation: Of the store, after the input was carried out.
        ordinal: Of a request: which one of its connection's it was, counted from 1,
            those that changed nothing included; 0 if that is not known.
    """

    __slots__ = (
        "answers",
        "connection",
        "domid",
        "generation",
        "header",
        "kind",
        "name",
        "numbers",
        "ordinal",
        "payload",
    )

    def __init__(
        self,
        kind: int,
        generation: int,
        connection: int = 0,
        domid: int = 0,
        frame: Frame | None = None,
        name: str = "",
        numbers: tuple[int, ...] = (),
        answers: tuple[int, ...] = (),
        ordinal: int = 0,
    ) -> None:
        self.kind = kind
        self.generation = generation
        self.connection = connection
        self.domid = domid
        # Not the frame: that is free for the next request, whoever keeps this.
        self.header = b"" if frame is None else frame.header
        self.payload = b"" if frame is None else frame.payload
        self.name = name
        self.numbers = numbers
        self.answers = answers
        self.ordinal = ordinal

    @property
    def frame(self) -> Frame | None:
        """The request, or None if this is another kind of input."""
        return frame_of(self.header, self.payload) if self.header else None

    def __repr__(self) -> str:
        what: list[str] = [f"#{self.connection}", f"dom{self.domid}"]
        if self.frame is not None:
            what.append(repr(self.frame))
        if self.name:
            what.append(self.name)
        if self.numbers:
            what.append(repr(self.numbers))
        if self.answers:
            what.append(f"answers {self.answers}")
        return f"Input({KINDS[self.kind]} {' '.join(what)} -> {self.generation})"


@mypyc_attr(allow_interpreted_subclasses=True)
class Tape(ABC):
    """Is handed each input that changed something."""

    __slots__ = ()

    @abstractmethod
    def take(self, entry: Input) -> None:
        """Keep an input that was carried out; nothing of its reply has left yet.

        It must not raise: the input has happened.
        """

    def take_request(
        self, connection: int, domid: int, ordinal: int, generation: int, frame: Frame
    ) -> None:
        """Keep a request for which the world was asked nothing.

        It may be kept until `end_turn` or the next `take`, whatever is first: requests
        are carried out in turns only. For the parameters, see `Input`.
        """
        self.take(Input(REQUEST, generation, connection, domid, frame, ordinal=ordinal))

    @abstractmethod
    def end_turn(self) -> None:
        """Make what was taken safe: after this the replies of a turn leave."""

    @property
    def is_scarce(self) -> bool:
        """Whether guests are to pay for the room that their requests take on it."""
        return False

    @property
    def condition(self) -> str:
        """How well it keeps the state for the next process, in words for operators.

        "ok"; "off" if that is not what it is for; else another word, and why.
        """
        return "off"


@final
class MemoryTape(Tape):
    """Keeps the inputs in a list.

    Attributes:
        inputs: All of them, in order.
    """

    __slots__ = ("inputs",)

    def __init__(self) -> None:
        self.inputs: list[Input] = []

    def take(self, entry: Input) -> None:
        """See `Tape.take`."""
        self.inputs.append(entry)

    def end_turn(self) -> None:
        """Nothing: memory is as safe as the engine itself."""
