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

from tests.store.support import Client, dom0_of, guest_of
from xsd.protocol.errors import XenStoreError
from xsd.protocol.path import ROOT
from xsd.protocol.request import UNLIMITED
from xsd.store import Event, Store, Transaction, Watch
from xsd.store.check import count_nodes, verify

PATH = b"some/relative/path"
DEEP = b"some/deep/dark/relative/path"


@final
class Peer:
    """A client whose watches add what they are told to a text.

    Attributes:
        client: What it makes requests with.
        told: Path and token of each event since the last look.
    """

    def __init__(self, client: Client, connection: int) -> None:
        self.client = client
        self.told = b""
        self._connection = connection
        self._watches: dict[tuple[bytes, bytes], Watch] = {}

    def hear(self, events: list[Event]) -> None:
        """Take the events that are for this peer."""
        for event in events:
            if event.watch.connection == self._connection:
                self.told += event.shown + event.watch.token

    def watch(self, path: bytes, token: bytes) -> None:
        """WATCH, with the event that a client is sent at once."""
        client = self.client
        place = client.at(path)
        watch = Watch(self._connection, client.caller, place, path, token, UNLIMITED)
        client.store.watch(watch)
        self._watches[path, token] = watch
        self.told += path + token

    def unwatch(self, path: bytes, token: bytes) -> bool:
        """UNWATCH; tells whether there was such a watch."""
        watch = self._watches.pop((path, token), None)
        if watch is not None:
            self.client.store.unwatch(watch)
        return watch is not None

    def reset_watches(self) -> None:
        """RESET_WATCHES."""
        for path, token in list(self._watches):
            self.unwatch(path, token)

    def take(self) -> bytes:
        """The text so far, which begins anew."""
        told, self.told = self.told, b""
        return told


@final
class Scene:
    """QEMU as dom0, a guest as domain 1, and the store between them."""

    def __init__(self) -> None:
        self.store = Store()
        dom0 = dom0_of(self.store)
        dom0.rm(b"/tool")
        dom0.write(b"/local/domain/1")
        assert self.nodes() == 4
        self.guest = Peer(guest_of(self.store, 1), 1)
        self.qemu = Peer(dom0, 2)
        dom0.set_perms(b"/local/domain/1", b"n0", b"r1")
        dom0.write(b"/local/domain/1/some")
        assert self.nodes() == 5
        dom0.set_perms(b"/local/domain/1/some", b"n1")

    def nodes(self) -> int:
        """Nodes of the store, the root among them."""
        return count_nodes(self.store, ROOT)

    def tell(self, events: list[Event]) -> None:
        """Deliver events."""
        for peer in (self.guest, self.qemu):
            peer.hear(events)

    def write(
        self, path: bytes, value: bytes, transaction: Transaction | None = None
    ) -> None:
        """WRITE by the guest."""
        client = self.guest.client
        self.tell(self.store.write(client.caller, client.at(path), value, transaction))

    def read(self, path: bytes, transaction: Transaction | None = None) -> bytes:
        """READ by the guest."""
        client = self.guest.client
        return self.store.read(client.caller, client.at(path), transaction)

    def rm(self, path: bytes, transaction: Transaction | None = None) -> None:
        """RM by the guest."""
        client = self.guest.client
        self.tell(self.store.rm(client.caller, client.at(path), transaction))

    def start(self) -> Transaction:
        """TRANSACTION_START by the guest."""
        return self.store.start(self.guest.client.caller)

    def commit(self, transaction: Transaction) -> None:
        """TRANSACTION_END T by the guest."""
        self.tell(self.store.commit(transaction))

    def missing(self, path: bytes) -> bool:
        """Whether a READ by the guest is ENOENT."""
        with pytest.raises(XenStoreError, match="ENOENT"):
            self.read(path)
        return True

    def deny(self, path: bytes) -> None:
        """WRITE by the guest, which is EACCES and leaves the number of nodes."""
        nodes = self.nodes()
        with pytest.raises(XenStoreError, match="EACCES"):
            self.write(path, b"bad")
        assert self.nodes() == nodes


@pytest.fixture
def scene() -> Iterator[Scene]:
    """QEMU's set-up and, afterwards, its tear-down."""
    scene = Scene()
    yield scene
    assert verify(scene.store) == []
    scene.guest.reset_watches()
    assert scene.store.usage.watches.of(1) == 0
    scene.qemu.client.rm(b"/local")
    assert scene.nodes() == 1
    assert verify(scene.store) == []


def test_simple(scene: Scene) -> None:
    """A guest writes, reads, lists and removes under its home, with watches."""
    guest, qemu = scene.guest, scene.qemu
    guest.watch(b"some", b"guestwatch")
    qemu.watch(b"/local/domain/1/some", b"qemuwatch")
    assert guest.take() == b"someguestwatch"
    assert qemu.take() == b"/local/domain/1/someqemuwatch"
    assert scene.missing(b"foo")

    scene.write(PATH, b"something")
    assert scene.nodes() == 7
    assert guest.take() == b"some/relative/pathguestwatch"
    assert qemu.take() == b"/local/domain/1/some/relative/pathqemuwatch"
    qemu.reset_watches()
    assert scene.read(PATH) == b"something"
    assert scene.read(b"/local/domain/1/some/relative/path") == b"something"
    assert guest.take() == b""

    # QEMU holds on to the root here, which makes every change copy.
    scene.store.live.tree.freeze()
    scene.deny(b"/local/domain/badplace")
    scene.write(b"/local/domain/1/some/relative/path2", b"something else")
    assert scene.nodes() == 8
    assert guest.take() == b"some/relative/path2guestwatch"
    scene.write(PATH, b"something")
    assert scene.nodes() == 8
    assert guest.take() == b"some/relative/pathguestwatch"
    assert guest.client.directory(b"some/relative") == [b"path", b"path2"]
    assert guest.unwatch(b"some", b"guestwatch")
    assert not guest.unwatch(b"some", b"guestwatch")


def test_simple_with_a_watch_above_and_one_below(scene: Scene) -> None:
    """The second half of QEMU's simple test."""
    guest = scene.guest
    scene.write(PATH, b"something")
    scene.write(b"some/relative/path2", b"something else")
    guest.watch(b"some/relative/path2", b"watchp2")
    assert guest.take() == b"some/relative/path2watchp2"
    guest.watch(b"/local/domain/1/some/relative", b"watchrel")
    assert guest.take() == b"/local/domain/1/some/relativewatchrel"

    scene.write(b"some/relative", b"moredata")
    assert scene.nodes() == 8
    scene.deny(b"/local/domain/badplace")
    assert guest.take() == b"/local/domain/1/some/relativewatchrel"
    assert scene.read(b"some/relative") == b"moredata"
    scene.write(b"some/relative", b"otherdata")
    assert scene.read(b"some/relative") == b"otherdata"
    guest.take()

    scene.rm(b"some/relative")
    assert scene.nodes() == 5
    told = guest.take()
    assert b"some/relative/path2watchp2" in told
    assert b"/local/domain/1/some/relativewatchrel" in told
    assert scene.missing(b"some/relative")


def begin(scene: Scene, *, fail: bool) -> Transaction:
    """Write a node in a transaction and, to let it fail, outside as well."""
    guest = scene.guest
    guest.watch(b"some", b"watch")
    assert guest.take() == b"somewatch"
    scene.write(PATH, b"something")
    assert scene.nodes() == 7
    assert guest.take() == b"some/relative/pathwatch"
    transaction = scene.start()
    # Ours begins with its first access, QEMU's at once.
    scene.read(PATH, transaction)
    if fail:
        scene.write(PATH, b"another thing")
        assert guest.take() == b"some/relative/pathwatch"
    scene.write(PATH, b"something else", transaction)
    assert scene.nodes() == 7
    assert guest.take() == b""
    assert scene.read(PATH) == (b"another thing" if fail else b"something")
    assert scene.read(PATH, transaction) == b"something else"
    return transaction


def end(scene: Scene, value: bytes) -> None:
    """Look at what is left."""
    assert scene.guest.take() == b""
    assert scene.nodes() == 7
    assert scene.guest.unwatch(b"some", b"watch")
    assert scene.read(PATH) == value


@pytest.mark.parametrize("fail", [False, True])
def test_tx_abort(scene: Scene, fail: bool) -> None:
    """An aborted transaction leaves nothing and tells nobody."""
    transaction = begin(scene, fail=fail)
    scene.store.abort(transaction)

    end(scene, b"another thing" if fail else b"something")


def test_tx_fail(scene: Scene) -> None:
    """EAGAIN if the node that the transaction writes was written outside.

    QEMU refuses after any write at all; for ours it has to be the same node.
    """
    transaction = begin(scene, fail=True)
    with pytest.raises(XenStoreError, match="EAGAIN"):
        scene.commit(transaction)

    end(scene, b"another thing")


def test_tx_succeed(scene: Scene) -> None:
    """A commit makes the change and tells it."""
    transaction = begin(scene, fail=False)
    scene.commit(transaction)

    assert scene.guest.take() == b"some/relative/pathwatch"
    end(scene, b"something else")


def test_tx_rm(scene: Scene) -> None:
    """A tree removed in a transaction is told once, by its topmost node."""
    guest = scene.guest
    guest.watch(b"some", b"watch")
    guest.take()
    scene.write(DEEP, b"something")
    assert scene.nodes() == 9
    assert guest.take() == b"some/deep/dark/relative/pathwatch"
    transaction = scene.start()
    scene.rm(b"some/deep/dark", transaction)
    assert scene.nodes() == 9
    assert guest.take() == b""
    assert scene.read(DEEP) == b"something"
    scene.commit(transaction)

    assert scene.nodes() == 6
    assert guest.take() == b"some/deep/darkwatch"
    assert scene.missing(DEEP)


def remove_in_transaction(scene: Scene) -> Transaction:
    """Set-up of both resurrections: some/deep is removed in a transaction."""
    scene.write(DEEP, b"something")
    assert scene.nodes() == 9
    scene.write(b"some/place/safe", b"keepme")
    assert scene.nodes() == 11
    scene.write(b"some/deep/dark", b"foo")
    assert scene.nodes() == 11
    scene.guest.watch(b"some", b"watch")
    assert scene.guest.take() == b"somewatch"
    transaction = scene.start()
    scene.rm(b"some/deep", transaction)
    assert scene.nodes() == 11
    assert scene.guest.take() == b""
    return transaction


def test_tx_resurrect(scene: Scene) -> None:
    """Nodes removed and made again on the way to another one.

    Told are what was written, the topmost of what is gone, and what lost its value;
    not some/deep, which never had one.
    """
    transaction = remove_in_transaction(scene)
    scene.write(b"some/deep/dark/different/path", b"something", transaction)
    assert scene.nodes() == 11
    scene.commit(transaction)

    assert scene.nodes() == 11
    told = scene.guest.take()
    assert b"some/deep/dark/different/pathwatch" in told
    assert b"some/deep/dark/relativewatch" in told
    assert b"some/deep/darkwatch" in told
    assert b"some/deepwatch" not in told
    assert scene.missing(DEEP)
    assert scene.read(b"some/place/safe") == b"keepme"


def test_tx_resurrect2(scene: Scene) -> None:
    """As before, but the very leaf that was removed is written again."""
    transaction = remove_in_transaction(scene)
    scene.write(DEEP, b"something", transaction)
    scene.commit(transaction)

    assert scene.nodes() == 11
    told = scene.guest.take()
    assert b"some/deep/dark/relative/pathwatch" in told
    assert b"some/deep/darkwatch" in told
    assert scene.read(DEEP) == b"something"
    assert scene.qemu.client.read(b"/local/domain/1/some/place/safe") == b"keepme"
