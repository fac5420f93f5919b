"""Paths: the text on the wire and the form that the store works with.

A path is the tuple of what stands between its slashes, so an ordinary path
begins with an empty part and a special name does not:

    /                  (b"",)
    /local/domain      (b"", b"local", b"domain")
    @releaseDomain     (b"@releaseDomain",)
    @releaseDomain/5   (b"@releaseDomain", b"5")

Ordinary nodes and special ones can so live in one tree and one watch index,
where a watch on "/" sees all of the former and none of the latter.
"""

from typing import Final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import DOMID_DIGITS

Path = tuple[bytes, ...]

ROOT: Final[Path] = (b"",)

_ALLOWED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_@"
_DOMAIN_DIRECTORY: Final = b"/local/domain/"


def domain_path(domid: int) -> bytes:
    """The directory of a domain, where its relative paths begin."""
    return _DOMAIN_DIRECTORY + b"%d" % domid


def parse_path(
    raw: bytes,
    home: bytes = b"/local/domain/0",
    *,
    special: bool = False,
    limit: int = 0,
) -> Path:
    """Check a path as a client sent it and split it.

    Args:
        raw: Absolute, relative or special path, without its NUL.
        home: Where a relative path begins: ``/local/domain/<domid>``.
        special: Whether a name beginning with ``@`` is accepted.
        limit: Most bytes of the path, ``/local/domain/<domid>/`` at its
            beginning not counted, so that a path keeps its meaning and its
            length when domain ids get longer (XSA-323); 0 is no limit.

    Raises:
        XenStoreError: EINVAL if the path is empty or too long, has a character outside
            ``A-Za-z0-9-/_@`` or an empty part (``//`` or a ``/`` at the end,
            XSA-481), and for a special name where none may stand.
    """
    first = raw[:1]
    if not raw or raw.translate(None, _ALLOWED) or (first == b"@" and not special):
        raise XenStoreError(Errno.EINVAL, "not a path", raw)
    if raw == b"/":
        return ROOT
    full = raw if first in (b"/", b"@") else home + b"/" + raw
    if b"//" in full or full[-1:] == b"/":
        raise XenStoreError(Errno.EINVAL, "empty part in path", raw)
    if limit and len(full) > limit and _counted_length(full) > limit:
        raise XenStoreError(Errno.EINVAL, f"path longer than {limit} bytes", raw)
    return tuple(full.split(b"/"))


def is_name(raw: bytes) -> bool:
    """Tell whether something without a slash may be a part of an absolute path."""
    return bool(raw) and not raw.translate(None, _ALLOWED)


def format_path(path: Path) -> bytes:
    """Write a path as text: the inverse of `parse_path` for absolute paths."""
    if len(path) == 1 and not path[0]:
        return b"/"
    return b"/".join(path)


def is_special(path: Path) -> bool:
    """Tell whether the path is one of the names that begin with ``@``."""
    return bool(path[0])


def _counted_length(full: bytes) -> int:
    """Length of an absolute path without ``/local/domain/<1 to 5 digits>/``."""
    if not full.startswith(_DOMAIN_DIRECTORY):
        return len(full)
    start = len(_DOMAIN_DIRECTORY)
    end = full.find(b"/", start)
    if start < end <= start + DOMID_DIGITS and full[start:end].isdigit():
        return len(full) - end - 1
    return len(full)
