"""XSA-421: a commit that is done by half, and counters that do not see all of it."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.xsa.support import World
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store import commit
from xsd.store.quota import NODES
from xsd.store.tree import Tree
from xsd.testing import Session

LIMIT: Final = 10

COMMITS: Final[dict[str, int]] = {
    "t1 mkdir a; t1 rm a": 0,
    "t1 mkdir a/b/c; t1 rm a": 0,
    "t1 mkdir a/b/c; t1 rm a/b": 1,
    "t1 mkdir a; t1 rm a; t1 mkdir a": 1,
    "t1 mkdir a/b; t1 rm a; t1 write a/c/d": 3,
    "t1 rm old": -3,
    "t1 rm old; t1 mkdir old/x": -1,
    "t1 rm old/x; t1 mkdir old/x/y; t1 rm old": -3,
    "t1 rm old; t1 mkdir old/x/y/z": 1,
}
"""What is done with `old/x/y` and others, and how many nodes there are more then."""

OTHERS: Final = {False: "", True: "0 write /other value"}
"""Others change something, so that the next commit is not a plain one."""


@pytest.mark.parametrize("others", OTHERS)
@pytest.mark.parametrize("requests", COMMITS)
def test_a_commit_counts_what_it_leaves(
    world: World, requests: str, others: bool
) -> None:
    """However often a node was made and removed on the way."""
    world.play(f"""
        write old/x/y value; nodes 1 -> 4
        start t1; {requests}; {OTHERS[others]}; t1 commit -> OK
        nodes 1 -> {4 + COMMITS[requests]}
    """)


@pytest.mark.parametrize("others", OTHERS)
def test_no_way_of_making_and_removing_gets_more_nodes_than_allowed(
    world: World, dom0: Session, hostile: Session, others: bool
) -> None:
    """Over and over: the quota is where it was."""
    world.limit(NODES, LIMIT, 1)
    for round_ in range(2 * LIMIT):
        number = hostile.start()
        for op in (Op.MKDIR, Op.RM, Op.MKDIR, Op.RM, Op.MKDIR):
            hostile.ask(op, b"n%d/below\0" % round_, number)
        if others:
            dom0.ok(Op.WRITE, b"/other\0value")
        hostile.commit(number)
        assert world.nodes(1) <= LIMIT
        world.check()

    assert world.nodes(1) == LIMIT - 1
    assert hostile.refused(Op.MKDIR, b"too/many\0") == Errno.ENOSPC


class DefectError(Exception):
    """Something that should not happen happens in the middle of a commit."""


STEPS: Final = """
    1 start t; t write old/x changed; t rm old/y; t mkdir new/a/b; t set old n1 r7
    t mkdir gone; t rm gone
"""


@pytest.mark.pure_only
@pytest.mark.parametrize("at", range(8))
def test_a_commit_that_breaks_anywhere_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The client gets EIO, the transaction is gone, the store is as it was."""
    world.stop_tape()
    world.play(
        f"""
        write old/x value; write old/y value; write old/z value; watch / t
        {STEPS}; 0 write /other value; note
        break; t commit -> EIO; mend
        hear -> -; same tree; 0 control check -> OK
        transactions -> 0; t commit -> ENOENT
        {STEPS}; t commit -> OK; hear
        """,
        acts={"break": lambda: break_at(monkeypatch, at), "mend": monkeypatch.undo},
    )
    world.check()
    (notice,) = world.notices("error")
    assert isinstance(notice.error, DefectError)


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


def test_a_commit_that_is_refused_changes_nothing(world: World) -> None:
    """For a conflict, for a quota, or for a right that is gone."""
    world.play("""
        write old/x value; 0 make /shared b0; start t{1..3}; t{1..3} write new/a value
        t1 read old/x; t2 write /shared/a value
        0 write ~1/old/x other; 0 set /shared n0; limit nodes 3; note
        t1 commit -> EAGAIN
        t2 commit -> EAGAIN|EACCES
        t3 commit -> ENOSPC
        same tree; transactions -> 0
    """)
