"""What the model test asks: few names and small numbers, so that requests collide."""

from typing import Final

from hypothesis import strategies as st

from protocol.path import Path, format_path, parse_path
from tests.model.naive_state import Right
from tests.model.naive_store import ANY
from xsd.store.children import WIDE_ABOVE

LETTERS: Final = "nrwb"

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

QUOTAS: Final = {
    "nodes": (0, 3, 6, 12),
    "watches": (0, 1, 3),
    "transactions": (0, 1, 2),
    "transaction-nodes": (0, 4, 8),
    "node-permissions": (0, 1, 2, 3),
    "node-size": (0, 40, 50),
}
"""Limits to set, by name; 0 is none."""


PLACES: Final = [
    parse_path(text)
    for text in (
        *[b"/", b"/a", b"/a", b"/a", b"/a/a", b"/a/a", b"/a/a", b"/a/b", b"/a/b"],
        *[b"/b", b"/b", b"/b/a", b"/a/a/a", b"/a/a/a", b"/a/a/b", b"/a/a/a/a"],
        *[b"/a/" + MEMBERS[0], b"/a/" + MEMBERS[-1], b"/a/" + MEMBERS[7] + b"/a"],
        b"/local/domain/1/a",
    )
]
SPECIAL: Final = [(b"@introduceDomain",), (b"@releaseDomain",), (b"@other",)]
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

guests = st.sampled_from(GUESTS)
domids = st.sampled_from((0, *GUESTS))
slots = st.sampled_from(range(len(SLOTS)))
places = st.sampled_from(PLACES)
named = st.sampled_from(PLACES + SPECIAL)
values = st.sampled_from([b"", b"1", b"22", b"more than a few bytes"])
offsets = st.sampled_from([0, 0, 1, 14, 15, 200, 4000, 4200, 5000])

_letters = st.sampled_from("nrwbbbbb")
_everyone = st.sampled_from((0, *GUESTS, UNKNOWN, ANY))
_owners = st.sampled_from((WHOEVER, WHOEVER, WHOEVER, 0, *GUESTS, UNKNOWN, ANY))
rights = st.builds(
    lambda owner, others: (owner, *others),
    st.builds(Right, _letters, _owners),
    st.lists(st.builds(Right, _letters, _everyone), max_size=3),
)

_write = st.tuples(st.just("write"), places, values)
_rm = st.tuples(st.just("rm"), places)
_look = st.one_of(
    st.tuples(st.just("read"), places),
    st.tuples(st.just("directory"), places),
    st.tuples(st.just("get_perms"), named),
    st.tuples(st.just("directory_part"), places, offsets),
)
_change = st.one_of(
    _write,
    _write,
    _write,
    _rm,
    _rm,
    st.tuples(st.just("mkdir"), places),
    st.tuples(st.just("set_perms"), named, rights),
)
looks = st.lists(_look, min_size=1, max_size=3)
asks = st.lists(st.one_of(_change, _change, _look), min_size=1, max_size=4)
"""Requests: what is asked, and with what."""

limits = st.one_of(
    [
        st.tuples(st.just(name), st.sampled_from(choice))
        for name, choice in QUOTAS.items()
    ]
)
