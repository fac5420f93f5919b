"""XSA-421: a commit that is done by half, and counters that do not see all of it."""

from collections.abc import Callable, Sequence
from typing import Final

import pytest

from tests.store.support import shape
from tests.xsa.support import World, home
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store import commit
from xsd.store.quota import NODES
from xsd.store.tree import Tree
from xsd.testing import Session

LIMIT: Final = 10

Request = tuple[int, bytes]


def run(client: Session, requests: Sequence[Request], end: bytes = b"T\0") -> bytes:
    """Make a transaction; return the payload of the reply to its end."""
    number = client.start()
    for op, payload in requests:
        client.ok(op, payload, number)
    return client.ask(Op.TRANSACTION_END, end, number)[-1][1]


@pytest.fixture
def crowded(dom0: Session) -> Callable[[], None]:
    """Have others change something, so that the next commit is not a plain one."""

    def change() -> None:
        dom0.ok(Op.WRITE, b"/other\0value")

    return change


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize(
    ("requests", "left"),
    [
        ([(Op.MKDIR, b"a\0"), (Op.RM, b"a\0")], 0),
        ([(Op.MKDIR, b"a/b/c\0"), (Op.RM, b"a\0")], 0),
        ([(Op.MKDIR, b"a/b/c\0"), (Op.RM, b"a/b\0")], 1),
        ([(Op.MKDIR, b"a\0"), (Op.RM, b"a\0"), (Op.MKDIR, b"a\0")], 1),
        ([(Op.MKDIR, b"a/b\0"), (Op.RM, b"a\0"), (Op.WRITE, b"a/c/d\0")], 3),
        ([(Op.RM, b"old\0")], -3),
        ([(Op.RM, b"old\0"), (Op.MKDIR, b"old/x\0")], -1),
        ([(Op.RM, b"old/x\0"), (Op.MKDIR, b"old/x/y\0"), (Op.RM, b"old\0")], -3),
        ([(Op.RM, b"old\0"), (Op.MKDIR, b"old/x/y/z\0")], 1),
    ],
)
def test_a_commit_counts_what_it_leaves(
    world: World,
    hostile: Session,
    crowded: Callable[[], None],
    requests: list[Request],
    left: int,
    others: bool,
) -> None:
    """However often a node was made and removed on the way."""
    hostile.ok(Op.WRITE, b"old/x/y\0value")
    before = world.nodes(1)
    with hostile.transaction() as number:
        for op, payload in requests:
            hostile.ok(op, payload, number)
        if others:
            crowded()

    assert world.nodes(1) == before + left


@pytest.mark.parametrize("others", [False, True])
def test_no_way_of_making_and_removing_gets_more_nodes_than_allowed(
    world: World, hostile: Session, crowded: Callable[[], None], others: bool
) -> None:
    """Over and over: the quota is where it was."""
    world.limit(NODES, LIMIT, 1)
    for round_ in range(2 * LIMIT):
        number = hostile.start()
        for op in (Op.MKDIR, Op.RM, Op.MKDIR, Op.RM, Op.MKDIR):
            hostile.ask(op, b"n%d/below\0" % round_, number)
        if others:
            crowded()
        hostile.ask(Op.TRANSACTION_END, b"T\0", number)
        assert world.nodes(1) <= LIMIT
        world.check()

    assert world.nodes(1) == LIMIT - 1
    assert hostile.refused(Op.MKDIR, b"too/many\0") == Errno.ENOSPC


class DefectError(Exception):
    """Something that should not happen happens in the middle of a commit."""


STEPS: Final = [
    (Op.WRITE, b"old/x\0changed"),
    (Op.RM, b"old/y\0"),
    (Op.MKDIR, b"new/a/b\0"),
    (Op.SET_PERMS, b"old\0n1\0r7\0"),
    (Op.MKDIR, b"gone\0"),
    (Op.RM, b"gone\0"),
]


@pytest.mark.pure_only
@pytest.mark.parametrize("at", range(8))
def test_a_commit_that_breaks_anywhere_changes_nothing(
    world: World,
    hostile: Session,
    crowded: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    """The client gets EIO, the transaction is gone, the store is as it was."""
    world.stop_tape()
    for name in (b"x", b"y", b"z"):
        hostile.ok(Op.WRITE, b"old/" + name + b"\0value")
    hostile.ok(Op.WATCH, b"/\0t\0")
    number = hostile.start()
    for op, payload in STEPS:
        hostile.ok(op, payload, number)
    crowded()
    before = world.tree()

    with monkeypatch.context() as patch:
        break_at(patch, at)
        assert hostile.refused(Op.TRANSACTION_END, b"T\0", number) == Errno.EIO

    assert world.tree() == before
    assert world.transactions() == {}
    world.check()
    (notice,) = world.notices("error")
    assert isinstance(notice.error, DefectError)
    assert hostile.refused(Op.TRANSACTION_END, b"T\0", number) == Errno.ENOENT
    assert run(hostile, STEPS) == b"OK\0"


def break_at(patch: pytest.MonkeyPatch, at: int) -> None:
    """Have the change with this number fail, before or after it is made."""
    steps = 0

    def breaking(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            nonlocal steps
            if steps == at:
                raise DefectError
            steps += 1
            return real(*arguments)

        return call

    for name in ("remove_from", "add_to", "write_own", "permit_own"):
        patch.setattr(Tree, name, breaking(getattr(Tree, name)))
    for name in ("_check_growth", "changes_between"):
        patch.setattr(commit, name, breaking(getattr(commit, name)))


def test_a_commit_that_is_refused_changes_nothing(
    world: World, dom0: Session, hostile: Session
) -> None:
    """For a conflict, for a quota, or for a right that is gone."""
    hostile.ok(Op.WRITE, b"old/x\0value")
    dom0.make(b"/shared", b"b0")
    numbers = [hostile.start() for _ in range(3)]
    for number in numbers:
        hostile.ok(Op.WRITE, b"new/a\0value", number)
    hostile.ask(Op.READ, b"old/x\0", numbers[0])
    hostile.ok(Op.WRITE, b"/shared/a\0value", numbers[1])
    dom0.ok(Op.WRITE, home(1) + b"/old/x\0other")
    dom0.ok(Op.SET_PERMS, b"/shared\0n0\0")
    world.limit(NODES, 3, 1)
    before = shape(world.store), world.counts()

    refused = [hostile.refused(Op.TRANSACTION_END, b"T\0", each) for each in numbers]
    assert refused[0] == Errno.EAGAIN
    assert refused[1] in {Errno.EAGAIN, Errno.EACCES}
    assert refused[2] == Errno.ENOSPC
    assert shape(world.store) == before[0]
    assert world.transactions() == {}
