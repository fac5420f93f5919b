"""A blocking client for any XenStore daemon, on its Unix socket or a ring."""

from xsd.client.address import default_socket_path
from xsd.client.client import Client
from xsd.client.connection import Event
from xsd.client.errors import DisconnectedError, NotListeningError
from xsd.client.transaction import Transaction
from xsd.client.transport import Transport

__all__ = [
    "Client",
    "DisconnectedError",
    "Event",
    "NotListeningError",
    "Transaction",
    "Transport",
    "default_socket_path",
]
