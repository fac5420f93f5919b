"""CONTROL live-update: the steps of an update, as `xenstore-control` takes them.

What they mean to the process is not the engine's business; see plan.py. The answer to
the last one is given later, by the process that takes over if all goes well.
"""

from typing import Final

from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.engine.plan import Plan
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import frame_of
from xsd.protocol.number import c_int
from xsd.protocol.reply import LATER, encode_reply, text_payload
from xsd.protocol.stream import VERSION_MAX

REASON_MAX: Final = 2048
"""Bytes of what is told of an update that has failed."""

_NO_SESSION: Final = b"Not in live-update session."
_OTHER_SESSION: Final = b"live-update session already active."
_NONE_TO_ABORT: Final = b"No live-update session active."
"""What C xenstored says, in text that tools look at."""


def live_update(core: Core, connection: Connection, arguments: list[bytes]) -> bytes:
    """Carry out one step.

    `-f FILE` begins; `-c ARGUMENTS` replaces the arguments that the daemon was started
    with; `-s [-t SECONDS] [-F] [-v VERSION]` updates; `-a` calls it off.

    Returns:
        Empty for OK, a sentence, or `LATER`.

    Raises:
        XenStoreError: EINVAL for arguments that are none of these.
    """
    step = arguments[0] if arguments else b""
    plan = core.plan
    count = len(arguments)
    if plan is not None and plan.begun and step != b"-a":
        return _OTHER_SESSION
    if step == b"-f" and count == 2:
        return _OTHER_SESSION if plan else _begin(core, connection, arguments[1])
    is_known = (step == b"-c" and count == 2) or (step == b"-a" and count == 1)
    if not is_known and step != b"-s":
        raise XenStoreError(Errno.EINVAL, "unknown step of a live update", step)
    if step == b"-s" and core.asked_again:
        core.asked_again = False
        return b""
    if plan is None or plan.connection != connection.id:
        return _NONE_TO_ABORT if step == b"-a" else _NO_SESSION
    return _go_on(core, plan, step, arguments[1:])


def _go_on(core: Core, plan: Plan, step: bytes, arguments: list[bytes]) -> bytes:
    if step == b"-c":
        plan.arguments = arguments[0]
        return b""
    if step == b"-a":
        core.updater.cancel()
        # The step that was not answered yet comes first.
        answer_later(core, plan.connection, _NO_SESSION.decode())
        return b""
    _read_options(plan, arguments)
    plan.begun = True
    core.updater.begin(plan)
    return LATER


def _begin(core: Core, connection: Connection, file: bytes) -> bytes:
    fault = core.updater.fault(file)
    if fault:
        return fault.encode()
    core.plan = Plan(connection.id, file)
    return b""


def _read_options(plan: Plan, words: list[bytes]) -> None:
    rest = words.copy()
    rest.reverse()
    while rest:
        word = rest.pop()
        if word == b"-F":
            plan.force = True
        elif word == b"-t" and rest:
            plan.timeout_s = max(c_int(rest.pop()), 0)
        elif word == b"-v" and rest:
            plan.version = c_int(rest.pop())
            if not 1 <= plan.version <= VERSION_MAX:
                raise XenStoreError(Errno.EINVAL, f"no version {plan.version}")
        else:
            raise XenStoreError(Errno.EINVAL, "unknown option of a live update", word)


def answer_later(core: Core, number: int, text: str) -> None:
    """Answer the last step, which was not answered yet: there is no update.

    Args:
        core: The engine's state.
        number: Of the connection; it may be gone.
        text: Why, in at most `REASON_MAX` bytes; the rest is cut.
    """
    core.end_plan()
    header = core.deferred.pop(number, None)
    if header is not None:
        connection = core.connections[number]
        connection.outbox.append(late_answer(header, text))
        core.touch(connection)


def late_answer(header: bytes, text: str) -> bytes:
    """The reply to a request whose header was kept; a long text is cut."""
    payload = text_payload(text.encode()[:REASON_MAX])
    return encode_reply(frame_of(header, b""), payload)
