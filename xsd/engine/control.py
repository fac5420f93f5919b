"""CONTROL: an operator's commands, as `xenstore-control` sends them."""

from collections.abc import Callable
from typing import Final

from xsd.engine import control_log, control_state
from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.engine.notice import Notice
from xsd.engine.update import live_update
from xsd.protocol import request as requests
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.number import c_int, parse_domid
from xsd.protocol.reply import LATER, OK, text_payload
from xsd.store import Transaction
from xsd.store.check import verify
from xsd.store.quota import (
    MEMORY,
    NODE_PERMISSIONS,
    NODE_SIZE,
    NODES,
    OUTSTANDING,
    PATH_MAX,
    SOFT_PREFIX,
    TRANSACTION_NODES,
    TRANSACTIONS,
    WATCHES,
)
from xsd.store.usage import Account

_MEANINGS: Final[dict[str, str]] = {
    NODES: "Nodes a domain may own",
    WATCHES: "Watches a domain may have",
    OUTSTANDING: "Requests a domain may have under way",
    MEMORY: "Bytes a domain may occupy",
    TRANSACTIONS: "Transactions a domain may have open",
    TRANSACTION_NODES: "Nodes that one transaction may access",
    NODE_PERMISSIONS: "Permissions that a node may have",
    PATH_MAX: "Bytes that a path may have",
    NODE_SIZE: "Bytes that a node may have",
}

Command = Callable[[Core, Connection, list[bytes]], bytes]


def control(
    core: Core,
    connection: Connection,
    payload: bytes,
    _transaction: Transaction | None,
) -> bytes:
    """CONTROL: look the command up and run it.

    Raises:
        XenStoreError: EINVAL for an unknown command or arguments that it does not
            take.
    """
    arguments = requests.parse_control(payload).arguments
    name = arguments[0]
    command = _COMMANDS.get(name)
    if command is None:
        raise XenStoreError(Errno.EINVAL, "unknown control command", name)
    text = command(core, connection, arguments[1:])
    if text is LATER:
        return text
    return text_payload(text) if text else OK


def _check(core: Core, connection: Connection, arguments: list[bytes]) -> bytes:
    """Look the whole store over; what is wrong goes to the log."""
    _expect(arguments, 0)
    faults = [*verify(core.store), *_verify_unsent(core)]
    for fault in faults:
        core.notices.append(Notice("error", "store.inconsistent", {"fault": fault}))
    fields: dict[str, object] = {"connection": connection.id, "faults": len(faults)}
    core.notices.append(Notice("info", "store.checked", fields))
    return b""


def _verify_unsent(core: Core) -> list[str]:
    """Recount what waits for guests."""
    counted = Account()
    for each in core.connections.values():
        if not each.caller.privileged:
            counted.add(each.caller.domid, each.outbox.count_charge())
    kept = core.store.usage.unsent.used
    if counted.used == kept:
        return []
    return [f"unsent bytes by domain are {counted.used}, kept as {kept}"]


def _print(core: Core, connection: Connection, arguments: list[bytes]) -> bytes:
    """Put a line into the log."""
    _expect(arguments, 1)
    fields: dict[str, object] = {"connection": connection.id, "text": arguments[0]}
    core.notices.append(Notice("info", "control.print", fields))
    return b""


def _quota(core: Core, _connection: Connection, arguments: list[bytes]) -> bytes:
    """Show or set limits, or show what a domain uses."""
    if not arguments:
        return _settings(core, "")
    if arguments[0] == b"set":
        return _set(core, arguments[1:], "")
    if arguments[0] == b"max":
        return _maxima(core, arguments[1:])
    _expect(arguments, 1)
    domid = parse_domid(arguments[0])
    core.store.known(domid)
    return _usage(core, domid)


def _quota_soft(core: Core, _connection: Connection, arguments: list[bytes]) -> bytes:
    """Show or set the limits that are only remarked on."""
    if not arguments:
        return _settings(core, SOFT_PREFIX)
    if arguments[0] == b"set":
        return _set(core, arguments[1:], SOFT_PREFIX)
    raise XenStoreError(Errno.EINVAL, "unknown argument", arguments[0])


def _journal(core: Core, _connection: Connection, arguments: list[bytes]) -> bytes:
    """Tell how well what changes the state is kept."""
    _expect(arguments, 0)
    tape = core.tape
    condition = "off" if tape is None else tape.condition
    return f"{condition}\n".encode()


def _help(_core: Core, _connection: Connection, arguments: list[bytes]) -> bytes:
    """List the commands."""
    _expect(arguments, 0)
    return _HELP


def _settings(core: Core, prefix: str) -> bytes:
    lines = ["Quota settings:"]
    for name in core.store.quotas.names():
        if name.startswith(SOFT_PREFIX) == bool(prefix):
            value = core.store.quotas.get(requests.GLOBAL, name)
            plain = name.removeprefix(SOFT_PREFIX)
            lines.append(f"{plain:<17}: {value:8} {_MEANINGS[plain]}")
    return "\n".join([*lines, ""]).encode()


def _usage(core: Core, domid: int) -> bytes:
    """What a domain uses now, if that is counted, and the most it ever did."""
    usage = core.store.usage
    now = {
        NODES: usage.nodes.of(domid),
        WATCHES: usage.watches.of(domid),
        OUTSTANDING: sum([each.tally.count for each in core.connections_of(domid)]),
        MEMORY: usage.memory_of(domid),
        TRANSACTIONS: usage.transactions.of(domid),
    }
    lines = [f"Domain {domid}:"]
    for name, account in usage.by_quota():
        count = now.get(name, 0)
        shown = str(count) if name in now else "-"
        # Unsent output has no maximum of its own.
        most = max(count, account.most.get(domid, 0))
        lines.append(f"{name:<17}: {shown:>8} (max {most:8})")
    return "\n".join([*lines, ""]).encode()


def _maxima(core: Core, arguments: list[bytes]) -> bytes:
    """The most that any guest used; with -r they begin anew afterwards."""
    if arguments and arguments != [b"-r"]:
        raise XenStoreError(Errno.EINVAL, "unknown argument", arguments[0])
    privileged = core.store.privileged.domid
    lines = ["Max used quota values:"]
    for name, account in core.store.usage.by_quota():
        lines.append(f"{name:<17}: {account.peak(privileged):8} {_MEANINGS[name]}")
    if arguments:
        core.store.usage.reset_peaks()
    return "\n".join([*lines, ""]).encode()


def _set(core: Core, arguments: list[bytes], prefix: str) -> bytes:
    _expect(arguments, 2)
    value = c_int(arguments[1])
    if value < 1:
        raise XenStoreError(Errno.EINVAL, "quota below 1", arguments[1])
    name = prefix + arguments[0].decode("ascii", "replace")
    core.set_limit(requests.GLOBAL, name, value)
    return b""


def _expect(arguments: list[bytes], count: int) -> None:
    if len(arguments) != count:
        raise XenStoreError(
            Errno.EINVAL, f"{len(arguments)} arguments in the place of {count}"
        )


_COMMANDS: Final[dict[bytes, Command]] = {
    b"check": _check,
    b"journal": _journal,
    b"live-update": live_update,
    b"log": control_log.log,
    b"logfile": control_log.logfile,
    b"memreport": control_log.memreport,
    b"print": _print,
    b"quota": _quota,
    b"quota-soft": _quota_soft,
    b"state": control_state.state,
    b"help": _help,
}

_HELP: Final = (
    b"check\t\n"
    b"journal\t\n"
    b"live-update\t[-c <arguments>] [-F] [-t <seconds>] <file>\n"
    b"log\t[on|off|+<switch>|-<switch>]\n"
    b"logfile\t<file>\n"
    b"memreport\t[<file>]\n"
    b"print\t<string>\n"
    b"quota\t[set <name> <value>|<domid>|max [-r]]\n"
    b"quota-soft\t[set <name> <value>]\n"
    b"state\tcopy|read <offset>|watch <domid> <depth> <path> <token>"
    b"|put <hex>|input <domid>|output <domid> <begun>\n"
    b"help\t\n"
)
