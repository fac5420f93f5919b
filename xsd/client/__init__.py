"""A blocking client for any XenStore daemon that listens on a Unix socket."""

from xsd.client.address import default_socket_path
from xsd.client.client import Client
from xsd.client.connection import Event
from xsd.client.errors import DisconnectedError, NotListeningError
from xsd.client.transaction import Transaction

__all__ = [
    "Client",
    "DisconnectedError",
    "Event",
    "NotListeningError",
    "Transaction",
    "default_socket_path",
]
