"""Which operation in a transaction conflicts with which change outside it.

The table of the transactions' rule, every pair of it. Under /d are a node /d/n
with a child /d/n/k and a grandchild /d/n/k/g, and no /d/m.
"""

from collections.abc import Callable
from typing import Final

import pytest

from tests.store.support import Client, dom0_of, guest_of, shape
from xsd.protocol.errors import Errno, XenStoreError
from xsd.store import Store
from xsd.store.check import verify

Act = Callable[[Client], object]


def _read_missing(client: Client) -> None:
    with pytest.raises(XenStoreError, match="ENOENT"):
        client.read(b"/d/m")


OPERATIONS: Final[dict[str, Act]] = {
    "READ": lambda client: client.read(b"/d/n"),
    "READ missing": _read_missing,
    "DIRECTORY": lambda client: client.directory(b"/d/n"),
    "DIRECTORY_PART": lambda client: client.directory_part(b"/d/n", 0),
    "GET_PERMS": lambda client: client.get_perms(b"/d/n"),
    "WRITE existing": lambda client: client.write(b"/d/n", b"mine"),
    "WRITE new": lambda client: client.write(b"/d/m", b"mine"),
    "MKDIR existing": lambda client: client.mkdir(b"/d/n"),
    "MKDIR new": lambda client: client.mkdir(b"/d/m"),
    "RM existing": lambda client: client.rm(b"/d/n"),
    "RM missing": lambda client: client.rm(b"/d/m"),
    "SET_PERMS": lambda client: client.set_perms(b"/d/n", b"n1", b"r3"),
}


def _make_again(client: Client, path: bytes) -> None:
    value, permissions = client.read(path), client.get_perms(path)
    client.rm(path)
    client.write(path, value)
    client.set_perms(path, *permissions.split(b"\0")[:-1])


CHANGES: Final[dict[str, Act]] = {
    "nothing": lambda client: client.mkdir(b"/d/n"),
    "value written": lambda client: client.write(b"/d/n", b"theirs"),
    "equal value written": lambda client: client.write(b"/d/n", b"1"),
    "permissions set": lambda client: client.set_perms(b"/d/n", b"n1", b"r2"),
    "child created": lambda client: client.write(b"/d/n/new"),
    "child removed": lambda client: client.rm(b"/d/n/k"),
    "child written": lambda client: client.write(b"/d/n/k", b"theirs"),
    "grandchild written": lambda client: client.write(b"/d/n/k/g", b"theirs"),
    "node removed": lambda client: client.rm(b"/d/n"),
    "node removed and made again": lambda client: _make_again(client, b"/d/n"),
    "missing node created": lambda client: client.write(b"/d/m", b"theirs"),
    "sibling created": lambda client: client.write(b"/d/s"),
    "parent written": lambda client: client.write(b"/d", b"theirs"),
    "parent's permissions set": lambda client: client.set_perms(b"/d", b"n1", b"r2"),
    "parent removed and made again": lambda client: _make_again(client, b"/d"),
}

_REPLACED: Final = {
    "node removed",
    "node removed and made again",
    "parent removed and made again",
}
_MISSING: Final = {"missing node created"}
_PERMS: Final = {"permissions set"}
_INHERITED: Final = {"parent's permissions set", "parent removed and made again"}
_VALUE: Final = {"value written", "equal value written"}
_NAMES: Final = {"child created", "child removed"}
_BELOW: Final = {"child written", "grandchild written"}

CONFLICTS: Final[dict[str, set[str]]] = {
    "READ": _REPLACED | _VALUE,
    "READ missing": _MISSING,
    "DIRECTORY": _REPLACED | _NAMES,
    "DIRECTORY_PART": _REPLACED | _NAMES,
    "GET_PERMS": _REPLACED | _PERMS,
    "WRITE existing": _REPLACED | _VALUE,
    "WRITE new": _MISSING | _INHERITED,
    "MKDIR existing": _REPLACED,
    "MKDIR new": _MISSING | _INHERITED,
    "RM existing": _REPLACED | _VALUE | _PERMS | _NAMES | _BELOW,
    "RM missing": _MISSING | {"parent removed and made again"},
    "SET_PERMS": _REPLACED | _PERMS,
}
"""What each operation conflicts with; it commits in the face of everything else."""

FOR_GUESTS: Final[dict[str, set[str]]] = {
    operation: _INHERITED if operation.endswith(("missing", "new")) else _PERMS
    for operation in OPERATIONS
}
"""What it conflicts with beside that if a guest asks."""


def stage() -> tuple[Store, Client, Client]:
    """A store, dom0, and domain 1, which owns /d."""
    store = Store()
    dom0 = dom0_of(store)
    guest = guest_of(store, 1)
    guest_of(store, 2)
    guest_of(store, 3)
    dom0.mkdir(b"/d")
    dom0.set_perms(b"/d", b"n1")
    guest.write(b"/d/n/k/g", b"1")
    guest.write(b"/d/n", b"1")
    return store, dom0, guest


def commits(transaction: Client) -> bool:
    try:
        transaction.commit()
    except XenStoreError as error:
        if error.errno is not Errno.EAGAIN:
            raise
        return False
    return True


def change_outside(dom0: Client, change: str, *, in_transaction: bool) -> None:
    if in_transaction:
        other = dom0.start()
        CHANGES[change](other)
        other.commit()
    else:
        CHANGES[change](dom0)


@pytest.mark.parametrize("in_transaction", [False, True], ids=["outside", "committed"])
@pytest.mark.parametrize("privileged", [True, False], ids=["dom0", "guest"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_conflicts_with_a_change_as_the_table_says(
    operation: str,
    change: str,
    privileged: bool,
    in_transaction: bool,
) -> None:
    """EAGAIN exactly if a facet that the operation relied on was changed."""
    store, dom0, guest = stage()
    transaction = (dom0 if privileged else guest).start()
    OPERATIONS[operation](transaction)
    change_outside(dom0, change, in_transaction=in_transaction)
    expected = CONFLICTS[operation]
    if not privileged:
        expected = expected | FOR_GUESTS[operation]

    assert commits(transaction) == (change not in expected)
    assert verify(store) == []


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        (operation, change)
        for operation in OPERATIONS
        for change in CHANGES
        if change not in CONFLICTS[operation]
    ],
)
def test_what_commits_is_as_if_it_had_been_done_afterwards(
    operation: str, change: str
) -> None:
    """Serialisable: the change first, then the operation, gives the same store."""
    store, dom0, _guest = stage()
    transaction = dom0.start()
    OPERATIONS[operation](transaction)
    CHANGES[change](dom0)
    transaction.commit()
    expected, afterwards, _guest = stage()
    CHANGES[change](afterwards)
    OPERATIONS[operation](afterwards)

    assert shape(store, b"/d") == shape(expected, b"/d")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_change_before_the_first_access_is_no_conflict(operation: str) -> None:
    """The transaction begins with the state that it meets then."""
    store, dom0, _guest = stage()
    transaction = dom0.start()
    CHANGES["value written"](dom0)
    OPERATIONS[operation](transaction)

    assert commits(transaction)
    assert verify(store) == []
