"""`xsd chmod`: permissions, as xenstore-chmod sets them."""

from xsd.cli.common import (
    ClientParser,
    CommandError,
    ancestors,
    as_original,
    child_path,
    connect,
    raw,
    refused,
    show,
    strerror,
)
from xsd.client.nodes import NodeOperations
from xsd.protocol.errors import XenStoreError
from xsd.protocol.lean import Final, Sequence
from xsd.protocol.limits import DOMID_MAX

_EXAMPLES: Final = """
A MODE is a letter, n (none), r (read), w (write) or b (both), and a domain id.
The first names the owner, who may do anything, and with its letter what every
domain may do that is not named.

examples:
  xsd chmod /a n5                          domain 5's, and nobody else's
  xsd chmod /a n0 r5 b6                    5 may read, 6 may write as well
  xsd chmod -r /a r0                       for all nodes below /a too
  xsd chmod -u /a/b r0                     for /a too
"""


def chmod(words: Sequence[str], socket: str | None) -> int:
    """Set permissions, in one transaction."""
    parser = ClientParser("chmod", "Set the permissions of a node.", _EXAMPLES)
    parser.add_argument(
        "-r", "--recurse", action="store_true", help="of all nodes below it too"
    )
    parser.add_argument(
        "-u", "--upto", action="store_true", help="of all nodes above it too"
    )
    parser.add_argument("path", metavar="PATH")
    parser.add_argument("modes", nargs="+", metavar="MODE")
    options = parser.parse(words, socket)
    modes = raw(options.modes)
    for mode in modes:
        _check(mode)
    path = raw([options.path])[0]

    def work(store: NodeOperations) -> None:
        _set(store, path, modes)
        if options.upto:
            for parent in ancestors(path):
                _set(store, parent, modes)
        if options.recurse:
            _recurse(store, path, modes)

    with connect(options) as client:
        client.run_transaction(work)
    return 0


def _check(mode: bytes) -> None:
    """Refuse what is no permission.

    xenstore-chmod takes the digits as atoi does, so that `r` gives rights to
    domain 0 and `r5x` to domain 5; here that is an error.

    Raises:
        CommandError: If the letter or the domain id is wrong.
    """
    letter, domid = mode[:1], mode[1:]
    if letter not in (b"n", b"r", b"w", b"b"):
        raise _mistake(letter, mode)
    if not (domid.isdigit() and int(domid) <= DOMID_MAX):
        raise _mistake(mode, mode)


def _mistake(wrong: bytes, mode: bytes) -> CommandError:
    if as_original("chmod"):
        text = f"Invalid permission specification: '{show(wrong)}'"
    else:
        text = (
            f"'{show(mode)}' is no permission, which is a letter of n, r, w and b and a"
            f" domain id up to {DOMID_MAX}, as r5"
        )
    return CommandError(text)


def _set(store: NodeOperations, path: bytes, modes: list[bytes]) -> None:
    try:
        store.set_permissions(path, modes)
    except XenStoreError as error:
        said = f"Error occurred setting permissions on '{show(path)}'"
        raise refused("chmod", error, path, f"{said}: {strerror(error)}") from None


def _recurse(store: NodeOperations, path: bytes, modes: list[bytes]) -> None:
    """Set the permissions of all nodes below one."""
    waiting = [path]
    while waiting:
        parent = waiting.pop()
        children = [child_path(parent, name) for name in store.directory(parent)]
        for child in children:
            _set(store, child, modes)
        waiting += children
