"""Refusals for what is missing or not allowed: which node decided, and how.

Most of them are repetitions that nobody reads. So a refusal holds what decided, and
puts the words together when it is asked for them. They are for the log, which only
the host's operator reads: a client is told the errno.
"""

from typing import Final, Self, final

from xsd.protocol.errors import Errno, ForbiddenError, MissingError
from xsd.protocol.path import Path, format_path
from xsd.protocol.perms import OWNER, READ, WRITE, Caller, Permissions

PARENT_SHOWN: Final = 256
"""Bytes of the path of a node above that a reason shows."""

PERMS_SHOWN: Final = 64
"""Bytes of a node's permissions that a reason shows."""

_CUT: Final = "..."

_NAMES: Final[dict[int, str]] = {
    0: "nothing",
    READ: "read",
    WRITE: "write",
    READ | WRITE: "read and write",
}


@final
class MissingNodeError(MissingError):
    """ENOENT: there is no such node, and the caller may know that.

    Attributes:
        depth: Parts of the path that there are.
    """

    depth: int

    def __new__(cls, path: Path, depth: int) -> Self:
        """Make one; the first parts of the path are there."""
        made = OSError.__new__(cls, Errno.ENOENT, "no such node", format_path(path))
        made.depth = depth
        return made

    @property
    def reason(self) -> str:
        """What the operator is told: the nearest node that there is."""
        # The path can be taken apart again: it is one that was parsed.
        parts = tuple(self.path.split(b"/"))
        if not self.depth:
            return "no such special name"
        return f"no such node; nearest parent is {_place(parts, self.depth)}"


@final
class DeniedError(ForbiddenError):
    """EACCES: the permissions of a node do not give the caller what it needs.

    That is the node that was asked for or, if it is missing, the nearest one above:
    who has not the right there is not told that it is missing.

    Attributes:
        caller: Who asked.
        parts: The path that was asked for.
        depth: How many parts of it lead to the node that decided.
        perms: Permissions of that node.
        right: What was needed: READ, WRITE, or WRITE and OWNER.
        is_late: The caller had the right when it did in a transaction what is to be
            committed now.
    """

    caller: Caller
    parts: Path
    depth: int
    perms: Permissions
    right: int
    is_late: bool

    def __new__(
        cls,
        caller: Caller,
        parts: Path,
        depth: int,
        perms: Permissions,
        right: int,
        *,
        is_late: bool = False,
    ) -> Self:
        """Make one; see the attributes."""
        made = OSError.__new__(cls, Errno.EACCES, "not permitted", format_path(parts))
        made.caller = caller
        made.parts = parts
        made.depth = depth
        made.perms = perms
        made.right = right
        made.is_late = is_late
        return made

    @property
    def reason(self) -> str:
        """What the operator is told: what was needed, and what there is."""
        perms = self.perms
        if not self.depth:
            return f"no such special name; only dom{perms.owner} is told so"
        shown = _permissions(perms)
        if self.depth < len(self.parts):
            parent = _place(self.parts, self.depth)
            # Of WRITE and OWNER one is enough there.
            name = _NAMES[READ if self.right & READ else WRITE]
            text = f"node is missing; nearest parent {parent} ({shown})"
            text += f" gives {self._whom()} no {name}"
        elif self.right & OWNER:
            text = f"only its owner dom{perms.owner} may ({shown})"
        else:
            given = _NAMES[perms.access(self.caller) & (READ | WRITE)]
            text = f"needs {_NAMES[self.right]}; {shown} gives {self._whom()} {given}"
        if self.is_late:
            text = f"the right was lost since: {text}"
        return text + self._stale()

    def _whom(self) -> str:
        caller = self.caller
        if caller.target < 0:
            return f"dom{caller.domid}"
        return f"dom{caller.domid} (target dom{caller.target})"

    def _stale(self) -> str:
        """Entries that name the caller, and yet mean a domain before it."""
        for entry in self.perms.entries:
            if entry.stale and entry.domid in (self.caller.domid, self.caller.target):
                entry_text = entry.text.decode("ascii")
                return f"; {entry_text} was set when there was no dom{entry.domid}"
        return ""


def _place(parts: Path, depth: int) -> str:
    """The path of a node above, as text that is not too long."""
    # Each part takes two bytes at least, but for the first one.
    text = format_path(parts[: min(depth, PARENT_SHOWN)])
    return _cut(text, PARENT_SHOWN)


def _permissions(perms: Permissions) -> str:
    return _cut(perms.text[: PERMS_SHOWN + 2].replace(b"\0", b",")[:-1], PERMS_SHOWN)


def _cut(text: bytes, most: int) -> str:
    # Special names may hold any byte.
    if len(text) <= most:
        return text.decode("latin-1")
    return text[:most].decode("latin-1") + _CUT
