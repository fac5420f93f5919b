"""A blocking client for any XenStore daemon, on its Unix socket or a ring.

What its users catch, compare and name is here, too: the error of a refused request and
its `Errno`, the types of messages (`Op`) and the features of `Client.get_feature`.
"""

from xsd.protocol.lean import TYPE_CHECKING, gathered

if TYPE_CHECKING:
    from xsd.client.address import default_socket_path
    from xsd.client.client import Client
    from xsd.client.errors import DisconnectedError, NotListeningError
    from xsd.client.session import Event
    from xsd.client.transaction import Transaction
    from xsd.client.transport import Transport
    from xsd.protocol.errors import Errno, XenStoreError
    from xsd.protocol.ops import (
        FEATURE_DOMID_ANY,
        FEATURE_ERROR,
        FEATURE_RECONNECTION,
        FEATURE_WATCH_DEPTH,
        Op,
    )

__all__ = [
    "FEATURE_DOMID_ANY",
    "FEATURE_ERROR",
    "FEATURE_RECONNECTION",
    "FEATURE_WATCH_DEPTH",
    "Client",
    "DisconnectedError",
    "Errno",
    "Event",
    "NotListeningError",
    "Op",
    "Transaction",
    "Transport",
    "XenStoreError",
    "default_socket_path",
]

if not TYPE_CHECKING:
    # A short command needs little of it.
    __getattr__ = gathered(
        __name__,
        (
            "xsd.protocol.errors",
            "xsd.protocol.ops",
            "xsd.client.address",
            "xsd.client.errors",
            "xsd.client.transport",
            "xsd.client.session",
            "xsd.client.transaction",
            "xsd.client.client",
        ),
    )
