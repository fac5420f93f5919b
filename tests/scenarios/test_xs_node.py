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

from collections.abc import Iterator
from typing import final

import pytest

from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.protocol.path import ROOT
from xsd.store.check import count_nodes, verify
from xsd.testing import InProcess, Session
from xsd.testing.session import strings

PATH = b"some/relative/path"
DEEP = b"some/deep/dark/relative/path"


def told(client: Session) -> bytes:
    """Path and token of each event since the last look, as one text."""
    return b"".join([path + token for path, token in client.events()])


@final
class Scene:
    """QEMU as dom0, a guest as domain 1, and the store between them."""

    def __init__(self) -> None:
        self.xenstore = InProcess()
        self.qemu = self.xenstore.client()
        self.qemu.ok(Op.RM, b"/tool\0")
        self.qemu.make(b"/local/domain/1")
        assert self.nodes() == 4
        self.guest = self.xenstore.create(1)
        self.xenstore.introduce(1)
        self.qemu.ok(Op.SET_PERMS, strings(b"/local/domain/1", b"n0", b"r1"))
        self.qemu.make(b"/local/domain/1/some")
        assert self.nodes() == 5
        self.qemu.ok(Op.SET_PERMS, strings(b"/local/domain/1/some", b"n1"))

    def nodes(self) -> int:
        """Nodes of the store, the root among them."""
        return count_nodes(self.xenstore.store, ROOT)

    def watch(self, client: Session, path: bytes, token: bytes) -> None:
        """WATCH, whose first event is told with the next ones."""
        client.get(Op.WATCH, strings(path, token))

    def write(self, path: bytes, value: bytes, tx: int = 0) -> None:
        """WRITE by the guest."""
        self.guest.get(Op.WRITE, path + b"\0" + value, tx)

    def read(self, path: bytes, tx: int = 0) -> bytes:
        """READ by the guest."""
        return self.guest.get(Op.READ, path + b"\0", tx)

    def rm(self, path: bytes, tx: int = 0) -> None:
        """RM by the guest."""
        self.guest.get(Op.RM, path + b"\0", tx)

    def missing(self, path: bytes) -> bool:
        """Whether a READ by the guest is ENOENT."""
        return self.guest.errno(Op.READ, path + b"\0") is Errno.ENOENT

    def deny(self, path: bytes) -> None:
        """WRITE by the guest, which is EACCES and leaves the number of nodes."""
        nodes = self.nodes()
        assert self.guest.errno(Op.WRITE, path + b"\0bad") is Errno.EACCES
        assert self.nodes() == nodes


@pytest.fixture
def scene() -> Iterator[Scene]:
    """QEMU's set-up and, afterwards, its tear-down."""
    scene = Scene()
    store = scene.xenstore.store
    yield scene
    assert verify(store) == []
    scene.guest.ok(Op.RESET_WATCHES, b"\0")
    assert store.usage.watches.of(1) == 0
    scene.qemu.ok(Op.RM, b"/local\0")
    assert scene.nodes() == 1
    scene.xenstore.close()
    assert verify(store) == []


def test_simple(scene: Scene) -> None:
    """A guest writes, reads, lists and removes under its home, with watches."""
    guest, qemu = scene.guest, scene.qemu
    scene.watch(guest, b"some", b"guestwatch")
    scene.watch(qemu, b"/local/domain/1/some", b"qemuwatch")
    assert told(guest) == b"someguestwatch"
    assert told(qemu) == b"/local/domain/1/someqemuwatch"
    assert scene.missing(b"foo")

    scene.write(PATH, b"something")
    assert scene.nodes() == 7
    assert told(guest) == b"some/relative/pathguestwatch"
    assert told(qemu) == b"/local/domain/1/some/relative/pathqemuwatch"
    qemu.get(Op.RESET_WATCHES, b"\0")
    assert scene.read(PATH) == b"something"
    assert scene.read(b"/local/domain/1/some/relative/path") == b"something"
    assert told(guest) == b""

    # QEMU holds on to the root here, which makes every change copy.
    scene.xenstore.store.live.tree.freeze()
    scene.deny(b"/local/domain/badplace")
    scene.write(b"/local/domain/1/some/relative/path2", b"something else")
    assert scene.nodes() == 8
    assert told(guest) == b"some/relative/path2guestwatch"
    scene.write(PATH, b"something")
    assert scene.nodes() == 8
    assert told(guest) == b"some/relative/pathguestwatch"
    assert guest.get(Op.DIRECTORY, b"some/relative\0") == b"path\0path2\0"
    for answer in (None, Errno.ENOENT):
        assert guest.errno(Op.UNWATCH, b"some\0guestwatch\0") is answer


def test_simple_with_a_watch_above_and_one_below(scene: Scene) -> None:
    """The second half of QEMU's simple test."""
    guest = scene.guest
    scene.write(PATH, b"something")
    scene.write(b"some/relative/path2", b"something else")
    scene.watch(guest, b"some/relative/path2", b"watchp2")
    assert told(guest) == b"some/relative/path2watchp2"
    scene.watch(guest, b"/local/domain/1/some/relative", b"watchrel")
    assert told(guest) == b"/local/domain/1/some/relativewatchrel"

    scene.write(b"some/relative", b"moredata")
    assert scene.nodes() == 8
    scene.deny(b"/local/domain/badplace")
    assert told(guest) == b"/local/domain/1/some/relativewatchrel"
    assert scene.read(b"some/relative") == b"moredata"
    scene.write(b"some/relative", b"otherdata")
    assert scene.read(b"some/relative") == b"otherdata"
    told(guest)

    scene.rm(b"some/relative")
    assert scene.nodes() == 5
    heard = told(guest)
    assert b"some/relative/path2watchp2" in heard
    assert b"/local/domain/1/some/relativewatchrel" in heard
    assert scene.missing(b"some/relative")


def begin(scene: Scene, *, fail: bool) -> int:
    """Write a node in a transaction and, to let it fail, outside as well."""
    guest = scene.guest
    scene.watch(guest, b"some", b"watch")
    assert told(guest) == b"somewatch"
    scene.write(PATH, b"something")
    assert scene.nodes() == 7
    assert told(guest) == b"some/relative/pathwatch"
    transaction = scene.guest.start()
    # Ours begins with its first access, QEMU's at once.
    scene.read(PATH, transaction)
    if fail:
        scene.write(PATH, b"another thing")
        assert told(guest) == b"some/relative/pathwatch"
    scene.write(PATH, b"something else", transaction)
    assert scene.nodes() == 7
    assert told(guest) == b""
    assert scene.read(PATH) == (b"another thing" if fail else b"something")
    assert scene.read(PATH, transaction) == b"something else"
    return transaction


def end(scene: Scene, value: bytes) -> None:
    """Look at what is left."""
    assert told(scene.guest) == b""
    assert scene.nodes() == 7
    assert scene.guest.errno(Op.UNWATCH, b"some\0watch\0") is None
    assert scene.read(PATH) == value


@pytest.mark.parametrize("fail", [False, True])
def test_tx_abort(scene: Scene, fail: bool) -> None:
    """An aborted transaction leaves nothing and tells nobody."""
    transaction = begin(scene, fail=fail)
    scene.guest.abort(transaction)

    end(scene, b"another thing" if fail else b"something")


def test_tx_fail(scene: Scene) -> None:
    """EAGAIN if the node that the transaction writes was written outside.

    QEMU refuses after any write at all; for ours it has to be the same node.
    """
    transaction = begin(scene, fail=True)
    assert scene.guest.commit(transaction) is Errno.EAGAIN

    end(scene, b"another thing")


def test_tx_succeed(scene: Scene) -> None:
    """A commit makes the change and tells it."""
    transaction = begin(scene, fail=False)
    assert scene.guest.commit(transaction) is None

    assert told(scene.guest) == b"some/relative/pathwatch"
    end(scene, b"something else")


def test_tx_rm(scene: Scene) -> None:
    """A tree removed in a transaction is told once, by its topmost node."""
    guest = scene.guest
    scene.watch(guest, b"some", b"watch")
    told(guest)
    scene.write(DEEP, b"something")
    assert scene.nodes() == 9
    assert told(guest) == b"some/deep/dark/relative/pathwatch"
    transaction = scene.guest.start()
    scene.rm(b"some/deep/dark", transaction)
    assert scene.nodes() == 9
    assert told(guest) == b""
    assert scene.read(DEEP) == b"something"
    assert scene.guest.commit(transaction) is None

    assert scene.nodes() == 6
    assert told(guest) == b"some/deep/darkwatch"
    assert scene.missing(DEEP)


def remove_in_transaction(scene: Scene) -> int:
    """Set-up of both resurrections: some/deep is removed in a transaction."""
    scene.write(DEEP, b"something")
    assert scene.nodes() == 9
    scene.write(b"some/place/safe", b"keepme")
    assert scene.nodes() == 11
    scene.write(b"some/deep/dark", b"foo")
    assert scene.nodes() == 11
    scene.watch(scene.guest, b"some", b"watch")
    assert told(scene.guest) == b"somewatch"
    transaction = scene.guest.start()
    scene.rm(b"some/deep", transaction)
    assert scene.nodes() == 11
    assert told(scene.guest) == b""
    return transaction


def test_tx_resurrect(scene: Scene) -> None:
    """Nodes removed and made again on the way to another one.

    Told are what was written, the topmost of what is gone, and what lost its value;
    not some/deep, which never had one.
    """
    transaction = remove_in_transaction(scene)
    scene.write(b"some/deep/dark/different/path", b"something", transaction)
    assert scene.nodes() == 11
    assert scene.guest.commit(transaction) is None

    assert scene.nodes() == 11
    heard = told(scene.guest)
    assert b"some/deep/dark/different/pathwatch" in heard
    assert b"some/deep/dark/relativewatch" in heard
    assert b"some/deep/darkwatch" in heard
    assert b"some/deepwatch" not in heard
    assert scene.missing(DEEP)
    assert scene.read(b"some/place/safe") == b"keepme"


def test_tx_resurrect2(scene: Scene) -> None:
    """As before, but the very leaf that was removed is written again."""
    transaction = remove_in_transaction(scene)
    scene.write(DEEP, b"something", transaction)
    assert scene.guest.commit(transaction) is None

    assert scene.nodes() == 11
    heard = told(scene.guest)
    assert b"some/deep/dark/relative/pathwatch" in heard
    assert b"some/deep/darkwatch" in heard
    assert scene.read(DEEP) == b"something"
    assert scene.qemu.get(Op.READ, b"/local/domain/1/some/place/safe\0") == b"keepme"
