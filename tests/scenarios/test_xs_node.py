"""The scenarios of QEMU's unit tests of its emulated XenStore (test-xs-node.c).

Each has the name of QEMU's test and asks for the same node counts and the same
events, written as there: path and token in one string. They differ where QEMU's
store is not a whole xenstored:

* QEMU's begins empty, ours with /tool, which is removed first so that the counts
  agree; the special nodes are below no path and not counted.
* QEMU counts a generation for each node, so that its test can ask for 2; ours is one
  of the whole store. DIRECTORY lists children in the order of creation.
* A store that has been saved and loaded is no subject here: QEMU's format is its own.
"""

from collections.abc import Callable
from typing import Final

import pytest

from tests.support.dialogue import Dialogue
from xsd.protocol.ops import Op
from xsd.protocol.path import ROOT
from xsd.store.check import count_nodes, verify
from xsd.testing import InProcess, Session

SET_UP: Final = """
    0 rm /tool; 0 make ~1; nodes -> 4
    enter 1; 0 set ~1 n0 r1
    0 make ~1/some; nodes -> 5
    0 set ~1/some n1
"""

PATH: Final = "some/relative/path"

DEEP: Final = "some/deep/dark/relative/path"

# Ours begins with its first access, QEMU's at once.
BEGIN: Final = f"""
    watch some watch
    write {PATH} something; nodes -> 7; hear -> {PATH}:watch
    start t1; t1 read {PATH}
"""

FAIL: Final = f"write {PATH} another; hear -> {PATH}:watch"

CHANGE: Final = f"""
    t1 write {PATH} else; nodes -> 7; hear -> -; t1 read {PATH} -> else
"""

END: Final = "hear -> -; nodes -> 7; unwatch some watch"

REMOVE: Final = f"""
    write {DEEP} something; nodes -> 9
    write some/place/safe keepme; nodes -> 11
    write some/deep/dark foo; nodes -> 11
    watch some watch
    start t1; t1 rm some/deep; nodes -> 11; hear -> -
"""

# QEMU holds on to the root in the simple test, which makes every change copy.
RULES: Final[dict[str, str]] = {
    "simple: a guest writes, reads, lists and removes at its home, with watches": f"""
        watch some guestwatch; 0 watch ~1/some qemuwatch
        read foo -> ENOENT
        write {PATH} something; nodes -> 7
        hear -> {PATH}:guestwatch
        0 hear -> ~1/{PATH}:qemuwatch
        0 reset; read {PATH} -> something
        read ~1/{PATH} -> something
        hear -> -; freeze
        write /local/domain/badplace bad -> EACCES; nodes -> 7
        write ~1/some/relative/path2 else; nodes -> 8
        hear -> some/relative/path2:guestwatch
        write {PATH} something; nodes -> 8; hear -> {PATH}:guestwatch
        dir some/relative -> path path2
        unwatch some guestwatch; unwatch some guestwatch -> ENOENT
    """,
    "simple, its second half: with a watch above and one below": f"""
        write {PATH} something; write some/relative/path2 else
        watch some/relative/path2 watchp2; watch ~1/some/relative watchrel
        write some/relative moredata; nodes -> 8
        write /local/domain/badplace bad -> EACCES; nodes -> 8
        hear -> ~1/some/relative:watchrel; read some/relative -> moredata
        write some/relative otherdata; read some/relative -> otherdata; hear
        rm some/relative; nodes -> 5
        hear -> some/relative/path2:watchp2 ~1/some/relative:watchrel
        read some/relative -> ENOENT
    """,
    "tx_abort: an aborted transaction leaves nothing and tells nobody": f"""
        {BEGIN}; {CHANGE}; read {PATH} -> something
        t1 abort; {END}; read {PATH} -> something
    """,
    "tx_abort, fail: the same where it would have failed": f"""
        {BEGIN}; {FAIL}; {CHANGE}; read {PATH} -> another
        t1 abort; {END}; read {PATH} -> another
    """,
    # QEMU refuses after any write at all; for ours it has to be the same node.
    "tx_fail: EAGAIN if what the transaction writes was written outside": f"""
        {BEGIN}; {FAIL}; {CHANGE}; read {PATH} -> another
        t1 commit -> EAGAIN; {END}; read {PATH} -> another
    """,
    "tx_succeed: a commit makes the change and tells it": f"""
        {BEGIN}; {CHANGE}; read {PATH} -> something
        t1 commit -> OK; hear -> {PATH}:watch; {END}; read {PATH} -> else
    """,
    "tx_rm: a tree removed in a transaction is told once, by its topmost node": f"""
        watch some watch; write {DEEP} something; nodes -> 9
        hear -> {DEEP}:watch
        start t1; t1 rm some/deep/dark; nodes -> 9
        hear -> -; read {DEEP} -> something
        t1 commit -> OK; nodes -> 6; hear -> some/deep/dark:watch
        read {DEEP} -> ENOENT
    """,
    # Told are what was written, the topmost of what is gone, and what lost its value;
    # not some/deep, which never had one.
    "tx_resurrect: nodes are removed, and made again on the way to another": f"""
        {REMOVE}; t1 write some/deep/dark/different/path something
        nodes -> 11; t1 commit -> OK; nodes -> 11
        hear -> some/deep/dark:watch some/deep/dark/relative:watch \
some/deep/dark/different/path:watch
        read {DEEP} -> ENOENT; read some/place/safe -> keepme
    """,
    "tx_resurrect2: the very leaf that was removed is written again": f"""
        {REMOVE}; t1 write {DEEP} something; t1 commit -> OK; nodes -> 11
        hear -> some/deep/dark:watch {DEEP}:watch
        read {DEEP} -> something; 0 read ~1/some/place/safe -> keepme
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_qemus_scenario_is_ours(rule: str) -> None:
    """With QEMU's set-up and, afterwards, its tear-down; QEMU is dom0."""
    xenstore = InProcess()
    store = xenstore.store
    qemu = xenstore.client()

    def enter(domid: int) -> Session:
        if domid == 0:
            return qemu
        guest = xenstore.create(domid)
        xenstore.introduce(domid)
        return guest

    acts: dict[str, Callable[..., object]] = {
        "nodes": lambda: count_nodes(store, ROOT),
        "freeze": store.live.tree.freeze,
    }
    Dialogue(enter, acts).play(f"{SET_UP}; {RULES[rule]}; reset")
    assert verify(store) == []
    assert store.usage.watches.of(1) == 0
    qemu.ok(Op.RM, b"/local\0")
    assert count_nodes(store, ROOT) == 1
    xenstore.close()
    assert verify(store) == []
