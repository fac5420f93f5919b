"""What the model test asks: few names and small numbers, so that requests collide."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

from tests.model.naive_state import Right, Rights
from tests.model.naive_store import ANY
from xsd.protocol.path import Path, format_path, parse_path
from xsd.store.children import WIDE_ABOVE

T = TypeVar("T")

Ask = tuple[Any, ...]
"""Name of a request and what it is about."""

LETTERS: Final = "nrwb"

INCIDENTS: Final = ["target", "end", "rebirth", "few", "small"]
"""What may happen while a transaction is open; see the machine's `happen`."""

GUESTS: Final = (1, 2, 3)
SLOTS: Final = (0, 0, 1, 2, 3)
"""Whose each of the transactions is that may be open."""

UNKNOWN: Final = 9
"""A domain that never comes."""

WHOEVER: Final = -1
"""In a right: the owner of the node at the time."""

MEMBERS: Final = [b"member-no-%03d" % number for number in range(WIDE_ABOVE + 50)]
"""Children of a wide directory; their names take more than one reply."""

LEFT: Final = 5
"""How many are left when it is made narrow again."""

WIDE: Final[Path] = (b"", b"a")

VALUES: Final = (b"", b"1", b"22", b"more than a few bytes")

LINE: Final = [parse_path(text) for text in (b"/a", b"/a/a", b"/a/a/a")]

QUOTAS: Final = {
    "nodes": (0, 3, 6, 12),
    "watches": (0, 1, 3),
    "transactions": (0, 1, 2),
    "transaction-nodes": (0, 4, 8),
    "node-permissions": (0, 1, 2, 3),
    "node-size": (0, 40, 50),
}
"""Limits to set, by name; 0 is none."""


PLACES: Final[list[Path]] = [
    parse_path(text)
    for text in (
        *[b"/", b"/a", b"/a", b"/a", b"/a/a", b"/a/a", b"/a/a", b"/a/b", b"/a/b"],
        *[b"/b", b"/b", b"/b/a", b"/a/a/a", b"/a/a/a", b"/a/a/b", b"/a/a/a/a"],
        *[b"/a/" + MEMBERS[0], b"/a/" + MEMBERS[-1], b"/a/" + MEMBERS[7] + b"/a"],
        b"/local/domain/1/a",
    )
]
SPECIAL: Final[list[Path]] = [
    (b"@introduceDomain",),
    (b"@releaseDomain",),
    (b"@other",),
]
WATCHED: Final = [
    *[format_path(path) for path in PLACES],
    b"@introduceDomain",
    b"@introduceDomain/2",
    b"@releaseDomain",
    b"@releaseDomain",
    b"@releaseDomain/1",
    b"@other",
    b"a",
    b"a/a",
]

LIMITS: Final = [(name, most) for name, choice in QUOTAS.items() for most in choice]

SETTINGS: Final[list[list[tuple[str, int]]]] = [
    [],
    [],
    [],
    *[[(name, most)] for name, most in LIMITS if most],
    [(name, max(choice)) for name, choice in QUOTAS.items()],
]
"""Limits to begin with."""

OTHERS: Final[list[Rights]] = [
    (),
    (Right("b", 1),),
    (Right("b", 2),),
    (Right("r", ANY),),
    (Right("n", 1), Right("b", ANY)),
    (Right("b", UNKNOWN), Right("w", 3)),
    (Right("r", 2), Right("b", 2), Right("w", 1)),
]
"""What may follow the first entry of a permission list."""

RIGHTS: Final[list[Rights]] = [
    (Right(letter, owner), *others)
    for owner in (*[WHOEVER] * 4, *GUESTS, *GUESTS, 0, ANY, UNKNOWN)
    for letter in "bnbrbw"
    for others in OTHERS
]

LOOKS: Final[list[Ask]] = [
    *[("read", place) for place in PLACES],
    *[("directory", place) for place in PLACES],
    *[("get_perms", place) for place in PLACES + SPECIAL],
    *[("directory_part", place, at) for place in PLACES for at in (0, 14, 15)],
    *[("directory_part", WIDE, at) for at in (1, 200, 4000, 4200, 5000)],
]
"""Requests that change nothing."""

CHANGES: Final[list[Ask]] = [
    *[("write", place, value) for place in PLACES for value in VALUES],
    *[("mkdir", place) for place in PLACES],
    *[("rm", place) for place in PLACES * 3],
]
"""Requests that change something, permissions apart."""

FAMILY: Final[list[Ask]] = [
    *[("write", place, value) for place in LINE for value in VALUES],
    *[("rm", place) for place in LINE * 3],
]
"""The same for nodes that lie on one another's paths."""

ELSEWHERE: Final[list[Ask]] = [
    *[("write", parse_path(text), b"else") for text in (b"/b", b"/b/b", b"/a/c")],
    *[("rm", parse_path(text)) for text in (b"/b/b", b"/a/c")],
]
"""The same for other nodes."""


def pick(choice: Sequence[T]) -> st.SearchStrategy[T]:
    """Choose one of many; those at the front are the simple ones."""
    return st.integers(0, len(choice) - 1).map(lambda index: choice[index])


guests = st.sampled_from(GUESTS)
domids = st.sampled_from((0, *GUESTS))
slots = st.sampled_from(range(len(SLOTS)))
places = pick(PLACES)
rights = pick(RIGHTS)
limits = pick(LIMITS)
settings = pick(SETTINGS)

_set_perms = st.tuples(st.just("set_perms"), pick(PLACES + SPECIAL), rights)
_set_family = st.tuples(st.just("set_perms"), pick(LINE), rights)
_look = pick(LOOKS)
_change = pick(CHANGES)
_family = pick(FAMILY)
asks = st.one_of(
    st.lists(st.one_of(_change, _set_perms, _look), min_size=1, max_size=4),
    st.lists(st.one_of(_family, _family, _set_family), min_size=2, max_size=5),
)
"""Requests to send one after the other."""

looks = st.lists(_look, min_size=1, max_size=3)
meanwhile = st.one_of(asks, st.lists(pick(ELSEWHERE), min_size=1, max_size=2))
