"""Why a command could not do what it should, in words; only loaded when one fails."""

import errno
import os

from xsd.client.errors import NotListeningError
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.lean import Final
from xsd.protocol.limits import ABS_PATH_MAX, PAYLOAD_MAX
from xsd.protocol.path import parse_path

_DEEDS: Final = {
    "chmod": "change its permissions",
    "exists": "read it",
    "list": "list it",
    "ls": "read it",
    "mkdir": "make it",
    "read": "read it",
    "rm": "remove it",
    "tree": "read it",
    "watch": "watch it",
    "write": "write it",
}

_START: Final = (
    "start one (xsd serve, systemctl start xenstored) or name its socket (--socket)"
)

_MEANINGS: Final = {
    Errno.ENOMEM: "the daemon is out of memory",
    Errno.ENOSPC: "the domain is at its quota, or it is too big (see the daemon's log)",
    Errno.EIO: "the daemon has failed to do it (see its log)",
    Errno.ENOTEMPTY: "there are nodes below it",
    Errno.ENOSYS: "the daemon knows no such request",
    Errno.EROFS: "the daemon takes no changes now",
    Errno.EBUSY: "the daemon is doing that already",
    Errno.EAGAIN: "others kept changing the same nodes: try again",
    Errno.EISCONN: "the domain is connected already",
    Errno.EISDIR: "there are nodes below it",
    Errno.E2BIG: f"too big: a request has room for {PAYLOAD_MAX} bytes, path included",
}


def why(error: OSError, command: str) -> str:
    """Return what went wrong, and what can be done about it.

    Args:
        error: What was raised.
        command: The subcommand.
    """
    if isinstance(error, NotListeningError):
        return _why_not_connected(error)
    if isinstance(error, XenStoreError):
        return why_refused(error, error.path, command)
    return str(error)


def why_refused(error: XenStoreError, path: bytes, command: str) -> str:
    """Return why a request was refused.

    Args:
        error: The refusal.
        path: The node that the user has named, or "" for none.
        command: What was to be done with it.
    """
    return (os.fsdecode(path) + ": " if path else "") + _meaning(error, path, command)


def _meaning(error: XenStoreError, path: bytes, command: str) -> str:
    known = error.errno
    if known == Errno.ENOENT:
        what = "there is no such node"
        if command == "rm":
            what = "neither this node nor the one above it is there"
        elif command == "chmod":
            # The daemon's word for both.
            what += ", or it is another domain's"
        if path[:1] not in (b"/", b"@", b""):
            what += " (without a / in front it is looked for in the domain's own home)"
        return what
    if known in (Errno.EACCES, Errno.EPERM):
        return f"no right to {_DEEDS.get(command, 'do that')} (see the daemon's log)"
    if known == Errno.EEXIST:
        return "it is watched already" if command == "watch" else "it is there already"
    if known == Errno.EINVAL:
        return _why_invalid(path, command)
    return _MEANINGS[known]


def _why_invalid(path: bytes, command: str) -> str:
    special = command in ("watch", "chmod")
    try:
        parse_path(path, special=special, limit=ABS_PATH_MAX)
    except XenStoreError as error:
        if path[:1] == b"@":
            return "names with @ in front can be watched, and have permissions, no more"
        if error.reason != "not a path":
            return f"this is no path: {error.reason}"
        if not path:
            return "an empty word is no path"
        return "this is no path: there are letters of ASCII, digits and -/_@ in one"
    return "the daemon finds no sense in the request (see its log)"


def _why_not_connected(error: NotListeningError) -> str:
    path = error.path
    if error.number == Errno.ENOENT:
        return f"no daemon listens at {path}: there is no such socket; {_START}"
    if error.number == errno.ECONNREFUSED:
        return f"no daemon listens at {path}: its daemon has ended; {_START}"
    if error.number in (Errno.EACCES, Errno.EPERM):
        if os.geteuid():
            return f"no right to connect to {path}: run as root"
        return f"no right to connect to {path}, not even as root: {error.reason}"
    if error.number == Errno.EAGAIN:
        return (
            f"the daemon at {path} accepts no connection: is it stopped, or too busy?"
        )
    return f"no daemon can listen at {path}: {error.reason}"
