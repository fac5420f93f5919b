"""What guests send to have the daemon work or keep much: attacks, and several at once.

Each is a list of requests for a guest that has just been connected, so that the
numbers of its transactions are known. Most of them once held up everybody, or filled
the memory.
"""

from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import FALSE, TRUE, Op


class Asked(NamedTuple):
    """A request.

    Attributes:
        transaction: Which of those that the attack has opened, from 1 on.
    """

    op: Op
    payload: bytes
    transaction: int = 0


NAMES: Final = [b"%c%c" % (n // 26 + 65, n % 26 + 97) for n in range(650)]
"""As many as a guest's directory may have: they count for its size."""

START: Final = Asked(Op.TRANSACTION_START, b"\0")


def interleaved(random: Random, attacks: list[list[Asked]]) -> bytes:
    """The frames of several attacks at once, each in its order."""
    left = [iter(attack) for attack in attacks]
    numbers: list[list[int]] = [[0] for _ in attacks]
    opened = 0
    frames = []
    places = list(range(len(attacks)))
    while places:
        place = random.choice(places)
        asked = next(left[place], None)
        if asked is None:
            places.remove(place)
            continue
        if asked.op == Op.TRANSACTION_START:
            opened += 1
            numbers[place].append(opened)
        number = numbers[place][asked.transaction]
        frames.append(encode_frame(asked.op, 1, number, asked.payload))
    return b"".join(frames)


def _end(random: Random, transaction: int = 1) -> Asked:
    commits = random.randrange(4) > 0
    return Asked(Op.TRANSACTION_END, TRUE if commits else FALSE, transaction)


def _chain(name: bytes, depth: int) -> list[bytes]:
    """Paths of so many levels, the deepest first."""
    return [name + b"/ab" * level + b"\0" for level in range(depth, 0, -1)]


def refused_reads(random: Random) -> list[Asked]:
    """More missing names than a transaction may depend on, each of 2 KB."""
    long = b"x" * 1950 + b"\0"
    reads = [Asked(Op.READ, b"%08d" % n + long, 1) for n in range(1500)]
    return [START, *reads, _end(random)]


def touched_paths(_: Random) -> list[Asked]:
    """Several transactions that change every level of a deep chain and abort."""
    paths = _chain(b"p", 670)
    asked = [Asked(Op.MKDIR, paths[0])]
    for number in (1, 2, 3):
        asked += [START, *[Asked(Op.WRITE, path + b"1", number) for path in paths]]
    return asked


def deep_commit(random: Random) -> list[Asked]:
    """Two deep chains, with watches, changed by turns in a transaction."""
    one, other = _chain(b"q", 490), _chain(b"r", 490)
    asked = [Asked(Op.MKDIR, one[0]), Asked(Op.MKDIR, other[0]), START]
    asked += [
        Asked(Op.WATCH, b"%s\0%d\0" % (b"qr"[n % 2 :][:1], n)) for n in range(120)
    ]
    for pair in zip(one, other, strict=True):
        asked += [Asked(Op.WRITE, path + b"1", 1) for path in pair]
    return [*asked, Asked(Op.WRITE, b"moved\0"), _end(random)]


def long_paths(random: Random) -> list[Asked]:
    """A commit of nearly a thousand nodes with paths of 2 KB that others watch."""
    above = b"device/vif/0/state" + (b"/" + b"d" * 200) * 9
    paths = [above + b"/%d/%03d\0" % (n % 4, n) for n in range(950)]
    return [START, *[Asked(Op.WRITE, path + b"1", 1) for path in paths], _end(random)]


def blind_watches(random: Random) -> list[Asked]:
    """All watches where others change much, while a wide directory comes and goes."""
    place = random.choice((b"/", b"/local", b"@releaseDomain", b"/shared"))
    asked = [Asked(Op.WATCH, b"%s\0%d\0" % (place, n)) for n in range(128)]
    for number in (1, 2):
        asked += [Asked(Op.MKDIR, b"wide/%s\0" % name) for name in NAMES]
        asked += [START, Asked(Op.RM, b"wide\0", number)]
        asked += [Asked(Op.MKDIR, b"wide\0", number), _end(random, number)]
    return asked


def watches_come_and_go(_: Random) -> list[Asked]:
    """Of deep paths, which are many objects to make and to let go of."""
    payload = b"/w" * 1000 + b"\0t\0"
    return [Asked(Op.WATCH, payload), Asked(Op.UNWATCH, payload)] * 200


def listings(_: Random) -> list[Asked]:
    """Of a wide directory that changes between any two of them."""
    asked = []
    for number, name in enumerate(NAMES):
        asked.append(Asked(Op.MKDIR, b"list/%s\0" % name))
        if number > 300:
            asked.append(Asked(Op.DIRECTORY_PART, b"list\0%d\0" % number))
    return asked


def transactions_dropped(random: Random) -> list[Asked]:
    """All that may be open, with changes in each, and they end at once."""
    asked = [Asked(Op.WRITE, b"o/%s\0" % name) for name in NAMES]
    for number in range(1, 11):
        asked += [START, *[Asked(Op.RM, b"o/%s\0" % n, number) for n in NAMES[:20]]]
        asked.append(Asked(Op.WRITE, b"o/%s\0new" % random.choice(NAMES[20:])))
    return [*asked, Asked(Op.RESET_WATCHES, b"\0")]


def contended(_: Random) -> list[Asked]:
    """Transactions on what everybody changes, one after the other."""
    asked = []
    for number in range(1, 60):
        asked += [START, Asked(Op.READ, b"/shared\0", number)]
        asked += [Asked(Op.WRITE, b"/shared/%d\0x" % (number % 4), number)]
        asked += [Asked(Op.TRANSACTION_END, TRUE, number)]
    return asked


def deep_chain(_: Random) -> list[Asked]:
    """As many levels as there may be; the domain's end has to take them away."""
    return [Asked(Op.MKDIR, b"c" + b"/a" * 980 + b"\0")]


ATTACKS: Final[tuple[Callable[[Random], list[Asked]], ...]] = (
    *(refused_reads, touched_paths, deep_commit, long_paths, blind_watches),
    *(watches_come_and_go, listings, transactions_dropped, contended, deep_chain),
)
