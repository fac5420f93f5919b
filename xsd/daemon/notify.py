"""Telling systemd how far we are: the datagram of sd_notify(3)."""

import socket
from collections.abc import Mapping
from typing import Final

WAIT_S: Final = 0.3
"""How long a manager is waited for that has not read what it was told before."""


def notify(state: str, environ: Mapping[str, str], *, wait: bool = True) -> bool:
    """Send a state such as `READY=1` to the service manager.

    A manager that does not read what it is told is waited for a moment only: whoever
    ends the daemon does not wait either.

    Args:
        state: Assignments, one on a line.
        environ: The environment with NOTIFY_SOCKET; a leading "@" means an abstract
            socket.
        wait: Whether it is waited for at all.

    Returns:
        False if there is no service manager to tell.

    Raises:
        OSError: If there is one and it cannot be reached, or not in time.
    """
    if not environ.get("NOTIFY_SOCKET"):
        return False
    with manager(environ, wait=wait) as sender:
        sender.send(state.encode())
    return True


def manager(environ: Mapping[str, str], *, wait: bool = True) -> socket.socket:
    """A socket that is connected to the service manager, if there is one.

    Args:
        environ: See `notify`.
        wait: Whether a manager that does not read is waited for.

    Raises:
        OSError: If it cannot be reached.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if address.startswith("@"):
        address = "\0" + address[1:]
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    sender = socket.socket(socket.AF_UNIX, kind)
    try:
        sender.connect(address)
        sender.settimeout(WAIT_S if wait else 0)
    except BaseException:
        sender.close()
        raise
    return sender
