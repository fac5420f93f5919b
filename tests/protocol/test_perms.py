"""Permission lists: reading, writing and deciding."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import DOMID_ANY
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
ALL = READ | WRITE | OWNER


def errno_of(*strings: bytes) -> Errno:
    with pytest.raises(XenStoreError) as caught:
        parse_permissions(list(strings))
    return caught.value.errno


def rights(caller: Caller, *strings: bytes) -> int:
    return parse_permissions(list(strings)).access(caller)


def test_letters_stand_for_rights() -> None:
    """n is none, r read, w write, b both."""
    permissions = parse_permissions([b"n0", b"r1", b"w2", b"b3"])

    assert permissions.owner == 0
    assert [(entry.rights, entry.domid) for entry in permissions.entries] == [
        (NONE, 0),
        (READ, 1),
        (WRITE, 2),
        (READ | WRITE, 3),
    ]


def test_text_is_the_payload_of_get_perms() -> None:
    """Each entry is a letter and a number with a NUL behind."""
    permissions = parse_permissions([b"n0", b"r5", b"b0x10", b"w32757"])

    assert permissions.text == b"n0\0r5\0b16\0w32757\0"


def test_text_shows_the_number_with_a_sign() -> None:
    """The C daemon stores 32 bits and prints them as an int."""
    permissions = parse_permissions([b"n0", b"r-1", b"w4294967295", b"b2147483647"])

    assert permissions.text == b"n0\0r-1\0w-1\0b2147483647\0"


@pytest.mark.parametrize(
    ("text", "domid"),
    [
        (b"r0", 0),
        (b"r00", 0),
        (b"r 7", 7),
        (b"r\t\n\v\f\r7", 7),
        (b"r+7", 7),
        (b"r0x1f", 31),
        (b"r0X1F", 31),
        (b"r010", 8),
        (b"r-0", 0),
        (b"r4294967301", 5),
        (b"r-1", 0xFFFFFFFF),
        (b"r99999999999999999999", 0xFFFFFFFF),
        (b"r-99999999999999999999", 0),
        (b"r" + b"0" * 3000 + b"7", 7),
    ],
)
def test_the_number_is_read_as_by_strtol(text: bytes, domid: int) -> None:
    """Base 10, 8 or 16 by its beginning, cut to 32 bits, as in the C daemon."""
    assert parse_permissions([b"n0", text]).entries[1].domid == domid


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"r",
        b"r ",
        b"x0",
        b"R0",
        b"5",
        b"rx",
        b"r5x",
        b"r5 ",
        b"r- 5",
        b"r+-5",
        b"r0x",
        b"r0x1g",
        b"r08",
        b"r0b1",
        b"r0o7",
        b"r1_0",
        b"r0x_1",
        b"r\xa05",
        b"r\xb2",
    ],
)
def test_what_is_no_permission_is_einval(text: bytes) -> None:
    """An unknown letter, no number, or more than a number."""
    assert errno_of(text) is Errno.EINVAL
    assert errno_of(b"n0", text) is Errno.EINVAL


def test_an_empty_list_is_einval() -> None:
    """A node always has an owner."""
    assert errno_of() is Errno.EINVAL


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            lambda letter, number: letter + b"%d" % number,
            st.sampled_from([b"n", b"r", b"w", b"b"]),
            st.integers(0, 2**31 - 1),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_text_reads_back_as_the_same_list(strings: list[bytes]) -> None:
    """What GET_PERMS returns can be given to SET_PERMS."""
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


def test_the_privileged_may_do_everything() -> None:
    """Permissions do not apply to domain 0."""
    assert rights(DOM0, b"n7") == ALL
    assert rights(DOM0, b"n7", b"n0") == ALL


def test_the_owner_may_do_everything() -> None:
    """The first entry's letter is not about its owner."""
    assert rights(DOM5, b"n5") == ALL
    assert rights(DOM5, b"n5", b"n5") == ALL


def test_a_target_gives_its_rights() -> None:
    """A device model may do what its target may (SET_TARGET)."""
    device_model = Caller(6, privileged=False, target=5)

    assert rights(device_model, b"n5") == ALL
    assert rights(device_model, b"n0", b"r5") == READ
    assert rights(device_model, b"n0", b"w6", b"r5") == WRITE
    assert rights(device_model, b"r0") == READ


def test_a_node_of_every_domain_is_everybodys() -> None:
    """DOMID_ANY as owner makes each caller an owner."""
    assert rights(DOM5, b"n%d" % DOMID_ANY) == ALL


def test_the_first_letter_is_for_everybody_else() -> None:
    """Who is not named has the rights of the owner's letter."""
    assert rights(DOM5, b"n0") == NONE
    assert rights(DOM5, b"r0") == READ
    assert rights(DOM5, b"b0", b"n6") == READ | WRITE


def test_the_first_entry_that_matches_decides() -> None:
    """Later entries for the same domain have no effect."""
    assert rights(DOM5, b"b0", b"n5", b"r5") == NONE
    assert rights(DOM5, b"n0", b"r6", b"w5", b"b5") == WRITE
    assert rights(DOM5, b"n0", b"r%d" % DOMID_ANY, b"b5") == READ


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
    parent = parse_permissions([b"r0", b"b5", b"w6"])
    child = parent.inherited_by(DOM5)

    assert child.text == b"r5\0b5\0w6\0"
    assert parent.text == b"r0\0b5\0w6\0"


def test_siblings_share_their_permissions() -> None:
    """The inherited list is made once for one creator after another."""
    parent = parse_permissions([b"n0", b"b5"])
    first = parent.inherited_by(DOM5)
    second = parent.inherited_by(DOM5)
    others = parent.inherited_by(Caller(6, privileged=False))

    assert first is second
    assert others.owner == 6
    assert parent.inherited_by(DOM5) == first


def test_the_privileged_and_the_owner_inherit_the_list_itself() -> None:
    """Nothing changes in it."""
    of_dom0 = parse_permissions([b"r0", b"b5"])
    of_dom5 = parse_permissions([b"r5", b"b6"])

    assert of_dom0.inherited_by(DOM0) is of_dom0
    assert of_dom5.inherited_by(DOM0) is of_dom5
    assert of_dom5.inherited_by(DOM5) is of_dom5


def test_equal_lists_are_equal() -> None:
    """Letters, domains and staleness count, the order too."""
    one = parse_permissions([b"n0", b"r5"])
    same = parse_permissions([b"n0", b"r05"])

    assert one == same
    assert hash(one) == hash(same)
    assert one != parse_permissions([b"n0", b"w5"])
    assert one != parse_permissions([b"n0", b"r6"])
    assert one != parse_permissions([b"r5", b"n0"])
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
    assert names_a_domain(0)
    assert names_a_domain(0x7FEF)
    assert not names_a_domain(0x7FF0)
    assert not names_a_domain(-1)
