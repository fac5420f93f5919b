"""CONTROL commands about the log: what is traced, where to, and a report."""

from xsd.engine import report
from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.engine.notice import Notice
from xsd.engine.tracing import SWITCHES
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import PAYLOAD_MAX


def log(core: Core, _connection: Connection, arguments: list[bytes]) -> bytes:
    """Show what is traced, or change it."""
    if not arguments:
        return _switches(core)
    word = _only(arguments)
    tracing = core.tracing
    switches = set(tracing.switches)
    if word in (b"on", b"off"):
        core.set_tracing(on=word == b"on", switches=switches)
        return b""
    name = word[1:].decode("ascii", "replace")
    if word[:1] not in (b"+", b"-") or name not in SWITCHES:
        raise XenStoreError(Errno.EINVAL, "unknown switch", word)
    if word[:1] == b"+":
        switches.add(name)
    else:
        switches.discard(name)
    core.set_tracing(on=tracing.on, switches=switches)
    return b""


def logfile(core: Core, _connection: Connection, arguments: list[bytes]) -> bytes:
    """Send the log to another file, and trace from now on, as C does."""
    core.logbook.redirect(_only(arguments))
    tracing = core.tracing
    core.set_tracing(on=True, switches=tracing.switches)
    return b""


def memreport(core: Core, connection: Connection, arguments: list[bytes]) -> bytes:
    """Tell who uses what: into the log if that is a file, or into another one.

    Else the report itself is the answer, as long as it fits into one.
    """
    name = _only(arguments) if arguments else b""
    process = core.logbook.process_bytes()
    found = report.report(core)
    if arguments:
        core.logbook.append(name, report.as_text(found, process))
        return b""
    if not core.logbook.is_file:
        text = report.as_text(found, process).encode()
        # Its NUL has to fit, too.
        if len(text) >= PAYLOAD_MAX:
            reason = f"a report of {len(text)} bytes is too long to be an answer"
            raise XenStoreError(Errno.EINVAL, f"{reason}: name a file")
        return text
    fields: dict[str, object] = {"connection": connection.id}
    fields.update(process)
    fields.update(found.totals())
    core.notices.append(Notice("info", "memory.report", fields, wanted=True))
    for domid in found.domids:
        used: dict[str, object] = {"domid": domid}
        used.update(found.of(domid))
        core.notices.append(Notice("info", "memory.domain", used, wanted=True))
    return b""


def _switches(core: Core) -> bytes:
    tracing = core.tracing
    lines = [f"Tracing is {_on(tracing.on)}, its switches are:"]
    lines += [f"{name:<8}: {_on(name in tracing.switches)}" for name in SWITCHES]
    return "\n".join([*lines, ""]).encode()


def _on(on: bool) -> str:
    return "on" if on else "off"


def _only(arguments: list[bytes]) -> bytes:
    """The one argument that a command takes."""
    if len(arguments) != 1:
        raise XenStoreError(
            Errno.EINVAL, f"{len(arguments)} arguments in the place of 1"
        )
    return arguments[0]
