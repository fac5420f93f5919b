"""Which operation in a transaction conflicts with which change outside it.

The table of the transactions' rule, every pair of it. Under /d are a node /d/n
with a child /d/n/k and a grandchild /d/n/k/g, and no /d/m.
"""

from typing import Final

import pytest

from tests.store.script import Play, play
from tests.store.support import Client, shape
from xsd.protocol.errors import Errno, XenStoreError
from xsd.store import Store
from xsd.store.check import verify

OPERATIONS: Final[dict[str, str]] = {
    "READ": "read /d/n",
    "READ missing": "read /d/m -> ENOENT",
    "DIRECTORY": "dir /d/n",
    "DIRECTORY_PART": "part /d/n 0",
    "GET_PERMS": "get /d/n",
    "WRITE existing": "write /d/n mine",
    "WRITE new": "write /d/m mine",
    "MKDIR existing": "mkdir /d/n",
    "MKDIR new": "mkdir /d/m",
    "RM existing": "rm /d/n",
    "RM missing": "rm /d/m",
    "SET_PERMS": "set /d/n n1 r3",
}

CHANGES: Final[dict[str, str]] = {
    "nothing": "mkdir /d/n",
    "value written": "write /d/n theirs",
    "equal value written": "write /d/n 1",
    "permissions set": "set /d/n n1 r2",
    "child created": "write /d/n/new",
    "child removed": "rm /d/n/k",
    "child written": "write /d/n/k theirs",
    "grandchild written": "write /d/n/k/g theirs",
    "node removed": "rm /d/n",
    "node removed and made again": "rm /d/n; write /d/n 1; set /d/n n1",
    "missing node created": "write /d/m theirs",
    "sibling created": "write /d/s",
    "parent written": "write /d theirs",
    "parent's permissions set": "set /d n1 r2",
    "parent removed and made again": "rm /d; mkdir /d; set /d n1",
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
    game = Play(store)
    game.run("""
        introduce 1; introduce 2; introduce 3; mkdir /d; set /d n1
        1 write /d/n/k/g 1; 1 write /d/n 1
    """)
    return store, game.client("0"), game.client("1")


def commits(transaction: Client) -> bool:
    try:
        transaction.commit()
    except XenStoreError as error:
        if error.errno is not Errno.EAGAIN:
            raise
        return False
    return True


@pytest.mark.parametrize("in_transaction", [False, True], ids=["outside", "committed"])
@pytest.mark.parametrize("privileged", [True, False], ids=["dom0", "guest"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_conflicts_with_a_change_as_the_table_says(
    operation: str, change: str, privileged: bool, in_transaction: bool
) -> None:
    """EAGAIN exactly if a facet that the operation relied on was changed."""
    store, dom0, guest = stage()
    transaction = (dom0 if privileged else guest).start()
    play(transaction, OPERATIONS[operation])
    other = dom0.start() if in_transaction else dom0
    play(other, CHANGES[change] + ("; commit" if in_transaction else ""))
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
    play(transaction, OPERATIONS[operation])
    play(dom0, CHANGES[change])
    transaction.commit()
    expected, afterwards, _guest = stage()
    play(afterwards, CHANGES[change])
    play(afterwards, OPERATIONS[operation])

    assert shape(store, b"/d") == shape(expected, b"/d")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_change_before_the_first_access_is_no_conflict(operation: str) -> None:
    """The transaction begins with the state that it meets then."""
    store, dom0, _guest = stage()
    transaction = dom0.start()
    play(dom0, CHANGES["value written"])
    play(transaction, OPERATIONS[operation])

    assert commits(transaction)
    assert verify(store) == []
