"""Permission lists: reading, writing and deciding."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.perms import (
    NONE,
    OWNER,
    READ,
    WRITE,
    Caller,
    Entry,
    Permissions,
    names_a_domain,
    owner_only,
    parse_permissions,
)

DOM0 = Caller(0, privileged=True)
DOM5 = Caller(5, privileged=False)
DOM6 = Caller(6, privileged=False)
DEVICE_MODEL = Caller(6, privileged=False, target=5)
ALL = READ | WRITE | OWNER

RIGHTS: Final[list[tuple[str, Caller, dict[str, int]]]] = [
    ("the privileged may do everything", DOM0, {"n7": ALL, "n7 n0": ALL}),
    ("the owner may do everything", DOM5, {"n5": ALL, "n5 n5": ALL}),
    ("a node of DOMID_ANY is everybody's", DOM5, {"n32757": ALL}),
    (
        *("the first letter is for who is not named", DOM5),
        {"n0": NONE, "r0": READ, "b0 n6": READ | WRITE},
    ),
    (
        *("the first entry that matches decides", DOM5),
        {"b0 n5 r5": NONE, "n0 r6 w5 b5": WRITE, "n0 r32757 b5": READ},
    ),
    (
        *("a device model has its target's rights (SET_TARGET)", DEVICE_MODEL),
        {"n5": ALL, "n0 r5": READ, "n0 w6 r5": WRITE, "r0": READ},
    ),
]


def parsed(text: str) -> Permissions:
    """The list of these entries."""
    return parse_permissions(text.encode().split())


@pytest.mark.parametrize(("rule", "caller", "granted"), RIGHTS)
def test_who_may_what(rule: str, caller: Caller, granted: dict[str, int]) -> None:
    """By the entries of the list."""
    for entries, rights in granted.items():
        assert parsed(entries).access(caller) == rights, f"{rule}: {entries}"


def test_letters_stand_for_rights() -> None:
    """n is none, r read, w write, b both."""
    permissions = parsed("n0 r1 w2 b3")

    assert permissions.owner == 0
    assert [(entry.rights, entry.domid) for entry in permissions.entries] == [
        *((NONE, 0), (READ, 1), (WRITE, 2), (READ | WRITE, 3))
    ]


def test_text_is_the_payload_of_get_perms() -> None:
    """Letter and number of each entry with a NUL behind; with a sign, as C prints."""
    assert parsed("n0 r5 b0x10 w32757").text == b"n0\0r5\0b16\0w32757\0"
    assert parsed("n0 r-1 w4294967295").text == b"n0\0r-1\0w-1\0"
    assert parsed("n0 r2147483647").text == b"n0\0r2147483647\0"


@pytest.mark.parametrize(
    ("text", "domid"),
    [
        *((b"r0", 0), (b"r00", 0), (b"r 7", 7), (b"r\t\n\v\f\r7", 7), (b"r+7", 7)),
        *((b"r0x1f", 31), (b"r0X1F", 31), (b"r010", 8), (b"r-0", 0)),
        *((b"r4294967301", 5), (b"r-1", 0xFFFFFFFF)),
        *((b"r99999999999999999999", 0xFFFFFFFF), (b"r-99999999999999999999", 0)),
        (b"r" + b"0" * 3000 + b"7", 7),
    ],
)
def test_the_number_is_read_as_by_strtol(text: bytes, domid: int) -> None:
    """Base 10, 8 or 16 by its beginning, cut to 32 bits, as in the C daemon."""
    assert parse_permissions([b"n0", text]).entries[1].domid == domid


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"r", b"r ", b"x0", b"R0", b"5", b"rx", b"r5x", b"r5 ", b"r- 5"),
        *(b"r+-5", b"r0x", b"r0x1g", b"r08", b"r0b1", b"r0o7", b"r1_0", b"r0x_1"),
        *(b"r\xa05", b"r\xb2"),
    ],
)
def test_what_is_no_permission_is_einval(text: bytes) -> None:
    """An unknown letter, no number, or more than a number; nor is an empty list."""
    for strings in ([text], [b"n0", text], []):
        with pytest.raises(XenStoreError) as caught:
            parse_permissions(strings)
        assert caught.value.errno is Errno.EINVAL


@settings(deadline=None)
@given(
    letters=st.text("nrwb", min_size=1, max_size=6),
    domids=st.lists(st.integers(0, 2**31 - 1), min_size=6, max_size=6),
)
def test_text_reads_back_as_the_same_list(letters: str, domids: list[int]) -> None:
    """What GET_PERMS returns can be given to SET_PERMS."""
    strings = [b"%c%d" % pair for pair in zip(letters.encode(), domids, strict=False)]
    permissions = parse_permissions(strings)

    assert permissions.text == b"".join([text + b"\0" for text in strings])
    assert parse_permissions(permissions.text.split(b"\0")[:-1]) == permissions


@settings(deadline=None)
@given(st.lists(st.binary(max_size=8), max_size=3))
def test_any_strings_are_a_list_or_einval(strings: list[bytes]) -> None:
    """Whatever a client sends, nothing but EINVAL is raised."""
    try:
        count = len(parse_permissions(strings).entries)
    except XenStoreError:
        count = len(strings)

    assert count == len(strings)


def test_a_stale_entry_grants_nothing() -> None:
    """It is shown, but neither gives nor takes rights (XSA-322)."""
    permissions = Permissions(
        (Entry(READ, 0), Entry(WRITE, 5, stale=True), Entry(READ | WRITE, 5))
    )
    only_stale = Permissions((Entry(NONE, 0), Entry(WRITE, 5, stale=True)))

    assert permissions.access(DOM5) == READ | WRITE
    assert only_stale.access(DOM5) == NONE
    assert only_stale.text == b"n0\0w5\0"


def test_a_guest_owns_what_it_creates() -> None:
    """The list is inherited, with the creator in the owner's place."""
    parent = parsed("r0 b5 w6")
    child = parent.inherited_by(DOM5)

    assert child.text == b"r5\0b5\0w6\0"
    assert parent.text == b"r0\0b5\0w6\0"


def test_siblings_share_their_permissions() -> None:
    """The inherited list is made once for one creator after another."""
    parent = parsed("n0 b5")
    first = parent.inherited_by(DOM5)

    assert parent.inherited_by(DOM5) is first
    assert parent.inherited_by(DOM6).owner == 6
    assert parent.inherited_by(DOM5) == first


def test_the_privileged_and_the_owner_inherit_the_list_itself() -> None:
    """Nothing changes in it."""
    of_dom0, of_dom5 = parsed("r0 b5"), parsed("r5 b6")

    assert of_dom0.inherited_by(DOM0) is of_dom0
    assert of_dom5.inherited_by(DOM0) is of_dom5
    assert of_dom5.inherited_by(DOM5) is of_dom5


def test_equal_lists_are_equal() -> None:
    """Letters, domains and staleness count, the order too."""
    one, same = parsed("n0 r5"), parsed("n0 r05")

    assert one == same
    assert hash(one) == hash(same)
    for other in ("n0 w5", "n0 r6", "r5 n0"):
        assert one != parsed(other)
    assert one != Permissions((Entry(NONE, 0), Entry(READ, 5, stale=True)))
    assert one != b"n0\0r5\0"
    assert one.entries[0] != b"n0"
    assert hash(one.entries[1]) == hash(same.entries[1])


def test_lists_and_callers_are_readable() -> None:
    """A list in a failed test shows its entries; stale ones are marked."""
    permissions = Permissions((Entry(NONE, 0), Entry(READ | WRITE, 5, stale=True)))

    assert repr(permissions) == "Permissions(n0, b5?)"
    assert repr(DOM5) == "Caller(dom5)"


def test_owner_only_lets_nobody_else_in() -> None:
    """The permissions of the root at the start."""
    assert owner_only(5).text == b"n5\0"
    assert owner_only(0).access(DOM5) == NONE


def test_reserved_ids_name_no_domain() -> None:
    """Domain ids from 0x7FF0 on have a meaning of their own."""
    domids = (0, 0x7FEF, 0x7FF0, -1)

    assert [names_a_domain(domid) for domid in domids] == [True, True, False, False]
