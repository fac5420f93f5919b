"""Telling systemd how far we are: the datagram of sd_notify(3)."""

import socket
from collections.abc import Mapping


def notify(state: str, environ: Mapping[str, str]) -> bool:
    """Send a state such as `READY=1` to the service manager.

    Args:
        state: Assignments, one on a line.
        environ: The environment with NOTIFY_SOCKET; a leading "@" means an abstract
            socket.

    Returns:
        False if there is no service manager to tell.

    Raises:
        OSError: If there is one and it cannot be reached.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_UNIX, kind) as sender:
        sender.connect(address)
        sender.sendall(state.encode())
    return True
