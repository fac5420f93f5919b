"""The client: everything a domain-0 program asks of a XenStore daemon."""

import os

from xsd.client.address import default_socket_path
from xsd.client.connection import Connection
from xsd.client.nodes import NodeOperations, split_strings, string
from xsd.client.session import Call, Event
from xsd.client.transport import SocketTransport, Transport
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.lean import (
    TYPE_CHECKING,
    Callable,
    Final,
    Self,
    TracebackType,
    TypeVar,
)
from xsd.protocol.ops import Op

if TYPE_CHECKING:
    from xsd.client.transaction import Transaction

T = TypeVar("T")

TRANSACTION_ATTEMPTS: Final = 20
"""Attempts of `Client.run_transaction`; their pauses add up to 3 s at most."""


class Client(NodeOperations):
    """A connection to the daemon, to be used by one thread at a time.

        with Client() as client:
            name = client.read("/local/domain/0/name")

    Args:
        path: The daemon's Unix socket; None takes that of libxenstore's rule
            (see `default_socket_path`).
        transport: Another way to a daemon; there is no socket then.
        timeout: Seconds to wait for the connection and for each reply; None
            waits for ever. After a `TimeoutError` the connection is closed.

    Raises:
        NotListeningError: If nobody listens there.
    """

    __slots__ = ("_connection",)

    def __init__(
        self,
        path: str | None = None,
        *,
        transport: Transport | None = None,
        timeout: float | None = None,
    ) -> None:
        if transport is None:
            if path is None:
                path = default_socket_path(os.environ)
            transport = SocketTransport(path, timeout)
        self._connection = Connection(transport, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,  # noqa: PYI036  it is that
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the daemon drops its watches and transactions."""
        self._connection.close()

    def request(self, op: Op, payload: bytes) -> bytes:
        """Send one request as it is, outside any transaction."""
        return self._connection.call(op, payload, 0)

    # Many requests at once

    def start(self, op: Op, payload: bytes) -> Call:
        """Send a request without waiting for its reply: many may be under way.

        They are carried out in order, and sent as far as there is room when the
        reply of one is waited for.

        Returns:
            What `finish` takes.
        """
        return self._connection.start(op, payload, 0)

    def finish(self, call: Call) -> bytes:
        """Wait for the reply of a request that was started, and return its payload."""
        return self._connection.finish(call)

    # Watches

    def watch(
        self, path: str | bytes, token: str | bytes, depth: int | None = None
    ) -> None:
        """Ask for an event whenever this node or one below it changes.

        A first event comes at once, without a change.

        Args:
            path: A node, which need not exist, or `@introduceDomain` or
                `@releaseDomain`.
            token: Comes back with each event.
            depth: Levels below the node that count, 0 for the node alone; None
                for all of them. Daemons older than 2026 refuse it (EINVAL).

        Raises:
            XenStoreError: EEXIST for the path and token of another watch.
        """
        payload = string(path) + string(token)
        if depth is not None:
            payload += b"%d\0" % depth
        self.request(Op.WATCH, payload)

    def unwatch(self, path: str | bytes, token: str | bytes) -> None:
        """End a watch; events that were under way may still come.

        Raises:
            XenStoreError: ENOENT if there is no watch with this path and token.
        """
        self.request(Op.UNWATCH, string(path) + string(token))

    def reset_watches(self) -> None:
        """End all watches, and all transactions, of this connection."""
        self.request(Op.RESET_WATCHES, b"\0")

    def next_event(self, timeout: float | None = None) -> Event | None:
        """Return the oldest event not taken yet, waiting for one if need be.

        Events that came while another request waited for its reply are kept
        and handed out here, in order.

        Args:
            timeout: Seconds to wait; 0 only looks, None waits for ever.

        Returns:
            The event, or None if none came in time.
        """
        return self._connection.next_event(timeout)

    # Transactions

    def transaction(self) -> "Transaction":
        """Start a transaction; its commit may fail with EAGAIN."""
        from xsd.client.transaction import Transaction  # noqa: PLC0415  not always needed

        return Transaction(self._connection)

    def run_transaction(
        self,
        work: Callable[["Transaction"], T],
        *,
        attempts: int = TRANSACTION_ATTEMPTS,
        pause: Callable[[int], None] | None = None,
    ) -> T:
        """Do work in a transaction, again and again until the commit succeeds.

        Args:
            work: Gets a fresh transaction each time, and must not commit it. It
                may run several times, so it should do nothing else that lasts.
                If it raises, the transaction is aborted.
            attempts: How often to try at most.
            pause: Waits between two attempts; gets the number of those made. None
                waits at random, longer each time.

        Returns:
            What `work` returned when its transaction was committed.

        Raises:
            XenStoreError: EAGAIN if the last attempt met a conflict too.
            ValueError: If `attempts` is less than one.
        """
        if attempts < 1:
            raise ValueError(f"attempts is {attempts}, must be at least 1")
        made = 0
        while True:
            try:
                with self.transaction() as transaction:
                    result = work(transaction)
            except XenStoreError as error:
                made += 1
                if error.errno != Errno.EAGAIN or made == attempts:
                    raise
                (pause or _back_off)(made)
            else:
                return result

    # Domains and the daemon itself

    def control(self, *arguments: str | bytes) -> bytes:
        """Give the daemon a command, such as `control("quota", "5")`.

        Returns:
            Its answer without the NUL at the end.
        """
        payload = b"".join(string(argument) for argument in arguments)
        return _text(self.request(Op.CONTROL, payload))

    def introduce(self, domid: int, gfn: int, port: int) -> None:
        """Tell the daemon of a domain, or connect a known one anew.

        Args:
            domid: The domain.
            gfn: Frame of its ring page; newer daemons use its grant instead.
            port: Event channel in the domain.
        """
        self.request(Op.INTRODUCE, b"%d\0%d\0%d\0" % (domid, gfn, port))

    def release(self, domid: int) -> None:
        """Have the daemon forget a domain, and remove the nodes it owns."""
        self.request(Op.RELEASE, b"%d\0" % domid)

    def resume(self, domid: int) -> None:
        """Say that a domain runs again after a suspension that failed."""
        self.request(Op.RESUME, b"%d\0" % domid)

    def set_target(self, domid: int, target: int) -> None:
        """Give a stub domain the rights of the domain it works for."""
        self.request(Op.SET_TARGET, b"%d\0%d\0" % (domid, target))

    def is_domain_introduced(self, domid: int) -> bool:
        """Tell whether the daemon knows the domain."""
        return _text(self.request(Op.IS_DOMAIN_INTRODUCED, b"%d\0" % domid)) == b"T"

    def get_domain_path(self, domid: int) -> bytes:
        """Return a domain's home, `/local/domain/<domid>`."""
        return _text(self.request(Op.GET_DOMAIN_PATH, b"%d\0" % domid))

    def get_feature(self, domid: int | None = None) -> int:
        """Return the server features, bits `FEATURE_*` of `xsd.client`, of a domain.

        Args:
            domid: The domain; None for the caller itself.
        """
        payload = b"" if domid is None else b"%d\0" % domid
        return int(_text(self.request(Op.GET_FEATURE, payload)))

    def set_feature(self, domid: int, features: int) -> None:
        """Set the features a domain will be offered once introduced."""
        self.request(Op.SET_FEATURE, b"%d\0%d\0" % (domid, features))

    def quota_names(self) -> list[bytes]:
        """Return the names that `get_quota` and `set_quota` take."""
        return _text(self.request(Op.GET_QUOTA, b"")).split()

    def get_quota(self, name: str | bytes, domid: int | None = None) -> int:
        """Return a quota, 0 for no limit: of a domain, or that of new ones."""
        value = self.request(Op.GET_QUOTA, _of_domain(domid) + string(name))
        return int(_text(value))

    def set_quota(
        self, name: str | bytes, value: int, domid: int | None = None
    ) -> None:
        """Set a quota, 0 for no limit: of a domain, or that of new ones."""
        payload = _of_domain(domid) + string(name) + b"%d\0" % value
        self.request(Op.SET_QUOTA, payload)


def _back_off(failures: int) -> None:
    from xsd.client.transaction import back_off  # noqa: PLC0415  not always needed

    back_off(failures)


def _of_domain(domid: int | None) -> bytes:
    return b"" if domid is None else b"%d\0" % domid


def _text(payload: bytes) -> bytes:
    """The one string of a reply; daemons differ in whether a NUL follows it."""
    strings = split_strings(payload)
    return strings[0] if strings else payload
