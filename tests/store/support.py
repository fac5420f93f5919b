"""A caller's requests with paths as text, the way tests want to write them."""

from collections.abc import Callable
from typing import final

from xsd.protocol.path import Path, parse_path
from xsd.protocol.perms import Caller, Permissions, parse_permissions
from xsd.protocol.request import UNLIMITED
from xsd.store import Event, Store, Transaction, Watch
from xsd.store.node import Node
from xsd.store.view import View

Told = list[tuple[bytes, bytes]]
"""Path, as the client is sent it, and token of each event."""


def at(text: bytes) -> Path:
    """The path of an absolute or special name."""
    return parse_path(text, special=True)


def perms(*entries: bytes) -> Permissions:
    """A permission list: `perms(b"n0", b"r1")`."""
    return parse_permissions(list(entries))


def told(events: list[Event]) -> Told:
    """What clients are sent for events."""
    return [(event.shown, event.watch.token) for event in events]


@final
class Client:
    """One caller, outside transactions or, after `start`, inside one.

    Attributes:
        store: The store it talks to.
        caller: Who it is.
        transaction: The one all its requests belong to, or None.
    """

    def __init__(
        self, store: Store, caller: Caller, transaction: Transaction | None = None
    ) -> None:
        self.store = store
        self.caller = caller
        self.transaction = transaction
        self._home = b"/local/domain/%d" % caller.domid

    @property
    def view(self) -> View:
        """What it sees of the store."""
        return self.store.view(self.transaction)

    def at(self, text: bytes) -> Path:
        """The path of an absolute, special or relative name."""
        return parse_path(text, self._home, special=True)

    def read(self, path: bytes) -> bytes:
        return self.view.read(self.caller, self.at(path))

    def directory(self, path: bytes) -> list[bytes]:
        """DIRECTORY, split."""
        names = self.view.directory(self.caller, self.at(path))
        return names.split(b"\0")[:-1]

    def directory_part(self, path: bytes, offset: int) -> bytes:
        return self.view.directory_part(self.caller, self.at(path), offset)

    def get_perms(self, path: bytes) -> bytes:
        """GET_PERMS as on the wire."""
        return self.view.get_perms(self.caller, self.at(path)).text

    def write(self, path: bytes, value: bytes = b"") -> Told:
        return told(
            self.store.write(self.caller, self.at(path), value, self.transaction)
        )

    def mkdir(self, path: bytes) -> Told:
        return told(self.store.mkdir(self.caller, self.at(path), self.transaction))

    def rm(self, path: bytes) -> Told:
        return told(self.store.rm(self.caller, self.at(path), self.transaction))

    def set_perms(self, path: bytes, *entries: bytes) -> Told:
        return told(
            self.store.set_perms(
                self.caller, self.at(path), perms(*entries), self.transaction
            )
        )

    def start(self) -> "Client":
        """TRANSACTION_START: the same caller inside a new transaction."""
        return Client(self.store, self.caller, self.store.start(self.caller))

    @property
    def opened(self) -> Transaction:
        """Its transaction, which it has to be in."""
        assert self.transaction is not None
        return self.transaction

    def commit(self) -> Told:
        return told(self.store.commit(self.opened))

    def abort(self) -> None:
        self.store.abort(self.opened)

    def watch(
        self,
        path: bytes,
        token: bytes = b"",
        depth: int = UNLIMITED,
        connection: int = 1,
    ) -> Watch:
        """WATCH; the token is the path unless one is given."""
        watch = Watch(
            connection, self.caller, self.at(path), path, token or path, depth
        )
        self.store.watch(watch)
        return watch


Enter = Callable[[Client], Client]
"""A way to make requests: outside transactions or in a new one."""


def dom0_of(store: Store) -> Client:
    return Client(store, store.privileged.caller)


def guest_of(store: Store, domid: int = 1) -> Client:
    store.introduce(domid, 1)
    return Client(store, store.introduced(domid).caller)


def homed(store: Store, domid: int = 1) -> Client:
    guest, home = guest_of(store, domid), b"/local/domain/%d" % domid
    dom0_of(store).mkdir(home)
    dom0_of(store).set_perms(home, b"n%d" % domid)
    return guest


Shape = list[tuple[bytes, bytes, bytes]]
"""Path, value and permissions of each node."""


def shape(store: Store, top: bytes = b"/") -> Shape:
    """Everything from a path down, in the order of DIRECTORY."""
    client = dom0_of(store)
    found: Shape = []
    rest = [top]
    while rest:
        path = rest.pop()
        found.append((path, client.read(path), client.get_perms(path)))
        stem = path.rstrip(b"/") + b"/"
        rest.extend([stem + name for name in reversed(client.directory(path))])
    return found


def watched(client: Client, *paths: bytes) -> None:
    """Watch paths, each with itself as the token."""
    for path in paths:
        client.watch(path)


def walk(top: Node) -> list[tuple[Path, Node]]:
    """All nodes from a top node down, with their paths."""
    found: list[tuple[Path, Node]] = []
    rest: list[tuple[Path, Node]] = [((), top)]
    while rest:
        found.append(rest.pop())
        path, node = found[-1]
        rest.extend([((*path, name), child) for name, child in node.children()])
    return found
