"""Telling systemd how far we are: the datagram of sd_notify(3)."""

import socket
from collections.abc import Mapping


def notify(state: str, environ: Mapping[str, str], *, wait: bool = True) -> bool:
    """Send a state such as `READY=1` to the service manager.

    Args:
        state: Assignments, one on a line.
        environ: The environment with NOTIFY_SOCKET; a leading "@" means an abstract
            socket.
        wait: Wait for a manager that has not read what it was told before.

    Returns:
        False if there is no service manager to tell.

    Raises:
        OSError: If there is one and it cannot be reached, or not without waiting.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_UNIX, kind) as sender:
        sender.connect(address)
        sender.send(state.encode(), 0 if wait else socket.MSG_DONTWAIT)
    return True
