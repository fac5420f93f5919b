"""A blocking client for any XenStore daemon, on its Unix socket or a ring.

What its users catch, compare and name is here, too: the error of a refused request and
its `Errno`, the types of messages (`Op`) and the features of `Client.get_feature`.
"""

from xsd.client.address import default_socket_path
from xsd.client.client import Client
from xsd.client.connection import Event
from xsd.client.errors import DisconnectedError, NotListeningError
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
