"""What a guest can repeat: every kind of request, at every kind of place, everywhere.

A `Stage` is an engine with guests of default quotas and places to work on. `KINDS` are
what is asked, `PLACES` where, `CONTEXTS` in what transaction, if any. Whoever measures
has `Stage.attack` do some rounds, each with names of its own.
"""

from collections.abc import Callable
from random import Random
from typing import Final, final

from tests.engine.support import Client, give, guest_at_home, home
from xsd.engine import Engine
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.ops import Op
from xsd.store import Store

Requests = list[tuple[int, bytes]]

LEVELS: Final = 880
"""Depth of the chain that is there; the rest of a guest's nodes are elsewhere."""

DEEP: Final = b"deep" + b"/x" * LEVELS
LONG: Final = b"l" * 1900
WIDE: Final = 400
"""Children of a guest's own directory: more do not fit into its quota."""

PLACES: Final[dict[str, bytes]] = {
    "own": b"data",
    "new": b"new/N",
    "deep": DEEP,
    "new below deep": DEEP + b"/N",
    "new and deep": b"N" + b"/y" * 990,
    "some new levels": b"n/N" + b"/y" * 60,
    "long": b"N" + LONG,
    "wide": b"wide",
    "in wide": b"wide/M",
    "in dom0's wide": b"/wide/M",
    "dom0's wide": b"/wide",
    "special": b"@releaseDomain",
    "below special": b"@releaseDomain/N" + LONG,
    "refused": b"/tool/N" + LONG,
    "deep and refused": b"/tool" + b"/N" * 250,
    "malformed": b"N" + LONG + b"//x",
    "seen by others": b"seen/M",
}
"""N is another number each time, M one of 400."""

KINDS: Final[dict[str, Requests]] = {
    "read": [(Op.READ, b"P\0")],
    "list": [(Op.DIRECTORY, b"P\0")],
    "list a part": [(Op.DIRECTORY_PART, b"P\0" + b"M\0")],
    "get perms": [(Op.GET_PERMS, b"P\0")],
    "write": [(Op.WRITE, b"P\0N" + b"v" * 300)],
    "write little": [(Op.WRITE, b"P\0N")],
    "mkdir": [(Op.MKDIR, b"P\0")],
    "remove": [(Op.RM, b"P\0")],
    "write and remove": [(Op.WRITE, b"P\0N"), (Op.RM, b"P\0")],
    "set perms": [(Op.SET_PERMS, b"P\0n1\0rN\0")],
    "set many perms": [(Op.SET_PERMS, b"P\0n1\0" + b"rN\0" * 4)],
    "watch": [(Op.WATCH, b"P\0tN\0")],
    "watch so deep": [(Op.WATCH, b"P\0tN\0" + b"3\0")],
    "watch and unwatch": [(Op.WATCH, b"P\0tN\0"), (Op.UNWATCH, b"P\0tN\0")],
    "unwatch none": [(Op.UNWATCH, b"P\0tN\0")],
    "long tokens": [(Op.WATCH, b"P\0N" + b"t" * 1900 + b"\0")],
    "make and remove the tree": [
        (Op.WRITE, b"P\0"),
        (Op.RM, b"N\0"),
        (Op.RM, b"n/N\0"),
    ],
    "not allowed": [(Op.INTRODUCE, b"N\0" + b"1\0" + b"1\0"), (Op.CONTROL, b"N\0")],
    "not known": [(99, b"P\0"), (Op.READ, b"P")],
    "nested": [(Op.TRANSACTION_START, b"\0")],
    "reset": [(Op.RESET_WATCHES, b"\0")],
}
"""P is the place."""


def requests_of(kind: str, place: str, number: int) -> Requests:
    """What is asked in a round, the number of which is in its names."""
    found: Requests = []
    for op, payload in KINDS[kind]:
        asked = payload.replace(b"P", PLACES[place])
        asked = asked.replace(b"N", b"%d" % number)
        asked = asked.replace(b"M", b"%d" % (number % WIDE))
        found.append((op, asked[:PAYLOAD_MAX]))
    return found


@final
class Stage:
    """An engine, dom0, the guest that attacks, and another that sees some of it."""

    def __init__(self) -> None:
        self.engine = Engine(Store())
        self.store = self.engine.store
        self.dom0 = Client(self.engine)
        self.guest = guest_at_home(self.engine, 1)
        self.other = guest_at_home(self.engine, 2)
        self.rounds = 0
        self.tx = 0
        for path in (b"data", b"new", b"n", b"wide", b"seen"):
            self.guest.ok(Op.MKDIR, path + b"\0")

    def prepare(self, place: str) -> None:
        """Have there be what a place needs, with watches around it."""
        guest = self.guest
        if "deep" in place and "new and" not in place:
            guest.ok(Op.MKDIR, DEEP + b"\0")
        if "dom0's wide" in place:
            give(self.dom0, b"/wide", b"n0\0b1\0", b"")
            for number in range(5_000):
                self.dom0.ok(Op.MKDIR, b"/wide/w%d\0" % number)
        if "in wide" in place or place == "wide":
            for number in range(WIDE):
                guest.ok(Op.MKDIR, b"wide/%d\0" % number)
        if place == "seen by others":
            guest.ok(Op.SET_PERMS, b"seen\0n1\0r2\0")
            for number in range(60):
                depth = b"%d\0" % (number % 3) if number % 2 else b""
                token = b"%d\0" % number
                guest.ask(Op.WATCH, b"seen\0" + token + depth)
                self.other.ask(Op.WATCH, home(1) + b"/seen\0" + token + depth)

    def attack(self, kind: str, place: str, *, commit: bool | None = None) -> None:
        """One round: in `tx`, or in a transaction of its own that ends.

        Args:
            kind: Of `KINDS`.
            place: Of `PLACES`.
            commit: How the transaction of its own ends; None is for none.
        """
        self.rounds += 1
        tx = self.tx
        if commit is not None:
            tx = self.start()
        for op, payload in requests_of(kind, place, self.rounds):
            self.ask(op, payload, tx)
        if commit is not None:
            self.ask(Op.TRANSACTION_END, b"T\0" if commit else b"F\0", tx)

    def start(self) -> int:
        """A transaction, if there may be one more; 0 is none."""
        for op, payload in self.guest.ask(Op.TRANSACTION_START, b"\0"):
            if op == Op.TRANSACTION_START:
                return int(payload[:-1])
        return 0

    def ask(self, op: int, payload: bytes, tx: int = 0) -> None:
        """Ask as the guest; what comes is read, by all."""
        self.guest.ask(op, payload, tx)
        self.other.take()
        self.engine.take_notices()

    def memory(self) -> int:
        """Bytes that guests are charged with."""
        usage = self.store.usage
        return usage.memory_of(1) + usage.memory_of(2)


def outside(stage: Stage) -> None:
    """Requests belong to no transaction."""


def left_open(stage: Stage) -> None:
    """One transaction for all."""
    stage.tx = stage.start()
    stage.ask(Op.READ, b"data\0", stage.tx)


def failed(stage: Stage) -> None:
    """A transaction in which something was refused for a quota."""
    left_open(stage)
    stage.ask(Op.WRITE, b"data\0" + b"v" * 3000, stage.tx)


def expelled(stage: Stage) -> None:
    """A transaction that has lost its snapshot."""
    left_open(stage)
    stage.ask(Op.WRITE, b"data\0v", stage.tx)
    for each in stage.store.transactions.all():
        each.expel()


CONTEXTS: Final[dict[str, tuple[Callable[[Stage], None], bool | None]]] = {
    "outside": (outside, None),
    "open": (left_open, None),
    "failed": (failed, None),
    "expelled": (expelled, None),
    "committed": (outside, True),
    "aborted": (outside, False),
}
"""What is done before, and how a transaction of each round ends."""


def attack_at_random(stage: Stage, random: Random) -> None:
    """A round of any kind, anywhere; sometimes another transaction is left open."""
    if random.random() < 0.05:
        stage.tx = random.choice((0, stage.start()))
    commit = random.choice((None, None, True, False))
    kind, place = random.choice(list(KINDS)), random.choice(list(PLACES))
    stage.attack(kind, place, commit=commit)
