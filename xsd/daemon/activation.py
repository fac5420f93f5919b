"""Sockets that were opened before us: the protocol of sd_listen_fds(3).

Whoever starts the daemon, systemd for `xenstored.socket`, passes descriptors from 3
on and says so in the environment. Since a client on the socket is domain 0, one that
others than its owner can open is refused, whoever has opened it.
"""

import os
import socket
import stat
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, final

FIRST_FD: Final = 3
NAMES: Final = frozenset({"xenstored", "xenstored.socket"})
"""FileDescriptorName= of our socket: what our unit says, and what systemd would."""

CLIENT: Final = "client-"
"""What the name of a descriptor begins with that a daemon of ours has had stored: that
of a client, whose number follows."""

CHANNELS: Final = "evtchn"
"""Name of a descriptor that a daemon of ours has had stored: its event channels."""

LISTENER: Final = "listener"
"""Name of a descriptor that a daemon of ours has had stored: its own socket."""

_VARIABLES: Final = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


class ActivationError(Exception):
    """A socket that was passed cannot be used; the text says why."""


@final
class Passed(NamedTuple):
    """A descriptor that was passed.

    Attributes:
        fd: Its number.
        name: What the service manager calls it; "" if it does not say.
    """

    fd: int
    name: str


@final
class Adopted(NamedTuple):
    """What became of the descriptors that were passed.

    Attributes:
        listener: The socket to listen on, if it is one of them.
        others: A description of each other one; it is closed.
        stored: What a daemon of ours has had stored.
        is_own: The listener is one of these.
    """

    listener: socket.socket | None
    others: tuple[str, ...]
    stored: tuple[Passed, ...] = ()
    is_own: bool = False


def take_passed(environ: MutableMapping[str, str], pid: int) -> list[Passed]:
    """Return the descriptors that were passed to a process, which are closed on exec.

    The variables that tell of them are removed: they mean nobody else.

    Args:
        environ: The environment.
        pid: The process; what was meant for another is left alone.
    """
    count, wanted, names = (environ.pop(name, "") for name in _VARIABLES)
    if wanted != str(pid) or not count.isdecimal():
        return []
    named = names.split(":") if names else []
    passed = []
    for index in range(int(count)):
        fd = FIRST_FD + index
        try:
            os.set_inheritable(fd, False)
        except OSError:
            break  # less is there than was said
        passed.append(Passed(fd, named[index] if index < len(named) else ""))
    return passed


def choose(passed: Iterable[Passed], path: Path) -> Adopted:
    """Find the socket to listen on; what else was passed is closed.

    It is the one that listens at a path, else the one with a name of `NAMES`.

    Args:
        passed: What `take_passed` has returned.
        path: Where clients are to connect.

    Raises:
        ActivationError: If others than its owner can open it.
    """
    found: list[tuple[bool, str, socket.socket]] = []
    others = []
    stored = []
    for each in passed:
        if each.name.startswith(CLIENT) or each.name == CHANNELS:
            stored.append(each)
            continue
        listener = _listener(each.fd)
        if listener is None:
            others.append(f"descriptor {each.fd} {each.name!r}, no listening socket")
            with suppress(OSError):
                os.close(each.fd)
            continue
        found.append((_is_at(listener, path), each.name, listener))
    # Somebody else's before one that was stored.
    found.sort(key=lambda one: one[1] == LISTENER)
    wanted = [one for one in found if one[0]] or [
        one for one in found if one[1] in NAMES
    ]
    for one in found:
        if one not in wanted[:1]:
            others.append(f"{one[1]!r} at {_address(one[2])}")
            one[2].close()
    if not wanted:
        return Adopted(None, tuple(others), tuple(stored))
    listener = wanted[0][2]
    try:
        _check_access(listener)
    except ActivationError:
        listener.close()
        raise
    is_own = wanted[0][1] == LISTENER
    return Adopted(listener, tuple(others), tuple(stored), is_own)


def _listener(fd: int) -> socket.socket | None:
    """Return a descriptor as a socket if clients can connect to it."""
    try:
        found = socket.socket(fileno=fd)
    except OSError:
        return None
    if (
        found.family == socket.AF_UNIX
        and found.type == socket.SOCK_STREAM
        and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    ):
        return found
    found.detach()
    return None


def _address(listener: socket.socket) -> str:
    address = listener.getsockname()
    if isinstance(address, bytes):
        return "@" + os.fsdecode(address[1:])
    return str(address)


def _is_at(listener: socket.socket, path: Path) -> bool:
    # /var/run is a link to /run.
    with suppress(OSError):
        return path.samefile(_address(listener))
    return False


def _check_access(listener: socket.socket) -> None:
    address = _address(listener)
    if not address.startswith("/"):
        raise ActivationError(f"{address} has no permissions: anybody may connect")
    try:
        mode = stat.S_IMODE(Path(address).stat().st_mode)
    except OSError as error:
        raise ActivationError(f"{address}: {error.strerror}") from None
    if mode & 0o077:
        raise ActivationError(
            f"{address} has mode {mode:04o}, and who opens it is domain 0:"
            " it has to be 0600 (SocketMode=0600)"
        )
