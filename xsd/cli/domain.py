"""`xsd domain`: domains on a host without Xen, made as a toolstack makes them.

They are those of the hypervisor that `xsd serve` pretends, which listens beside the
daemon's socket. Each gets a home as xl gives it, and has a socket of its own: whoever
connects there is that domain.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, NamedTuple

from xsd.cli.common import (
    ClientParser,
    CommandError,
    ValueMistakeError,
    Values,
    connect,
)
from xsd.cli.escape import escape
from xsd.client.address import default_socket_path
from xsd.client.client import Client
from xsd.client.errors import NotListeningError
from xsd.client.transaction import Transaction
from xsd.protocol.errors import XenStoreError
from xsd.protocol.limits import DOMID_FIRST_RESERVED
from xsd.testing.guests import PretendedHost

_EXAMPLES: Final = """
commands:
  create [DOMID] [--name NAME]
                          make a domain, with the next free id if none is given, with
                          a home; print its id and its socket
  list                    print a line for each domain
  kill DOMID              destroy a domain, and remove its home
  kill --shutdown DOMID   have it stop by itself, as by a shutdown or a crash in it
  introduce DOMID         tell the daemon of a domain that somebody else has made, or
                          connect it anew

examples:
  xsd domain create 5 --name web           5 /run/xenstored/socket.dom5
  xsd --socket /run/xenstored/socket.dom5 read name
                                           web, as domain 5 reads it
  xsd domain kill 5
"""

_READABLE: Final = ("control", "device")
"""What a guest may read below its home, as all of that."""

_OWN: Final = ("attr", "control/shutdown", "data", "drivers", "error", "feature")
"""What is a guest's own below its home."""

_GFN: Final = 1
"""The frame of a ring page, which nobody looks for where a page is handed over."""

_HEADINGS: Final = (b"DOMID", b"STATE", b"PORT", b"NAME", b"SOCKET")


class _Place(NamedTuple):
    """A daemon and the hypervisor that it pretends.

    Attributes:
        socket: Where the daemon listens.
        dom0: Connected there.
        host: Makes the domains.
    """

    socket: str
    dom0: Client
    host: PretendedHost


def domain(words: Sequence[str], socket: str | None) -> int:
    """Make, list or end domains."""
    options = _options(words, socket)
    path = options.socket = options.socket or default_socket_path(os.environ)
    with ExitStack() as held:
        dom0 = held.enter_context(connect(options))
        host = held.enter_context(_host(path, options.timeout))
        place = _Place(path, dom0, host)
        match options.command:
            case "create":
                _create(place, options.domid, options.name)
            case "list":
                _list(place)
            case "kill":
                _kill(place, options.domid, gently=options.shutdown)
            case _:
                _introduce(place, options.domid)
    return 0


def _options(words: Sequence[str], socket: str | None) -> Values:
    parser = ClientParser(
        "domain", "Make and end domains on a host without Xen.", _EXAMPLES
    )
    parser.usage = "xsd domain [-h] create|list|kill|introduce ..."
    parser.add_argument(
        "command",
        choices=("create", "list", "kill", "introduce"),
        metavar="COMMAND",
        help="what to do, see below",
    )
    parser.add_argument(
        "domid", nargs="?", type=_domid, metavar="DOMID", help="the domain's id"
    )
    parser.add_argument("--name", metavar="NAME", help="what a new domain is called")
    parser.add_argument(
        "--shutdown", action="store_true", help="the domain only stops by itself"
    )
    options = parser.parse(words, socket)
    if options.domid is None and options.command in {"kill", "introduce"}:
        parser.error(f"which domain? {options.command} takes its id")
    if options.domid is not None and options.command == "list":
        parser.error("list takes no id: it prints them all")
    if options.name is not None and options.command != "create":
        parser.error("--name is for create")
    if options.shutdown and options.command != "kill":
        parser.error("--shutdown is for kill")
    return options


def _domid(text: str) -> int:
    """Read the id of a domain that is not dom0.

    Raises:
        ValueMistakeError: If it is none.
    """
    last = DOMID_FIRST_RESERVED - 1
    if text.isascii() and text.isdigit() and 0 < int(text) <= last:
        return int(text)
    raise ValueMistakeError(f"{text!r} is no number from 1 to {last}")


def _host(path: str, limit: float) -> PretendedHost:
    """Connect to the hypervisor that the daemon pretends.

    Args:
        path: The daemon's socket.
        limit: Seconds to wait for each answer; 0 for ever.

    Raises:
        CommandError: If it pretends none.
    """
    try:
        return PretendedHost(f"{path}.hypervisor", timeout=limit or None)
    except NotListeningError as error:
        raise CommandError(
            f"the daemon at {path} pretends no hypervisor ({error.reason}): its domains"
            " are Xen's, to be made by Xen's toolstack, or it serves none"
        ) from None


def _create(place: _Place, domid: int | None, name: str | None) -> None:
    """Make a domain, its home, and tell the daemon of it; or leave nothing behind."""
    try:
        guest = place.host.create(domid)
    except OSError as error:
        raise _refused(error) from None
    with guest:
        made, port = guest.domid, guest.port
    try:
        # Before it is told of: who waits for that finds all of it.
        place.dom0.run_transaction(lambda store: _furnish(store, made, name))
        place.dom0.introduce(made, _GFN, port)
    except BaseException:
        place.host.kill(made)
        raise
    print(made, _socket_of(place, made))


def _furnish(store: Transaction, domid: int, name: str | None) -> None:
    """Make a home, or what is missing of it; permissions are those that xl gives."""
    home = f"/local/domain/{domid}"
    readable, own = ["n0", f"r{domid}"], [f"n{domid}"]
    store.mkdir(home)
    store.set_permissions(home, readable)
    if name is not None or not store.exists(f"{home}/name"):
        store.write(f"{home}/name", os.fsencode(name or f"Domain-{domid}"))
    store.write(f"{home}/domid", b"%d" % domid)
    for child in ("name", "domid", *_READABLE, *_OWN):
        store.mkdir(f"{home}/{child}")
        permissions = own if child in _OWN else readable
        store.set_permissions(f"{home}/{child}", permissions)


def _list(place: _Place) -> None:
    """Print a table; what a domain does not have is a dash."""
    rows = [_HEADINGS]
    for domid in place.host.domains():
        report = place.host.state(domid)
        if report is None:
            continue
        try:
            name = escape(place.dom0.read(f"/local/domain/{domid}/name"))
        except XenStoreError:
            name = b"-"
        socket = _socket_of(place, domid)
        rows.append(
            (
                b"%d" % domid,
                report.state.encode(),
                b"%d" % report.port,
                name,
                os.fsencode(socket) if Path(socket).exists() else b"-",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print(os.fsdecode(b"  ".join(cells)).rstrip())


def _kill(place: _Place, domid: int, *, gently: bool) -> None:
    try:
        if gently:
            place.host.shutdown(domid)
            return
        place.host.kill(domid)
    except OSError as error:
        raise _refused(error) from None
    # The daemon has removed what was the domain's own; this is the toolstack's part.
    with suppress(FileNotFoundError):  # ENOENT: there has been no home at all
        place.dom0.rm(f"/local/domain/{domid}")


def _introduce(place: _Place, domid: int) -> None:
    report = place.host.state(domid)
    if report is None:
        raise CommandError(f"there is no domain {domid}")
    place.dom0.introduce(domid, _GFN, report.port)


def _socket_of(place: _Place, domid: int) -> str:
    return f"{place.socket}.dom{domid}"


def _refused(error: OSError) -> CommandError:
    return CommandError(error.strerror or str(error))
