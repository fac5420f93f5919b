"""CONTROL state: a copy of the whole state, fetched in pieces; a domain's, brought.

Both go by the socket alone, whatever files client and daemon can both see: one of them
may be in a container, or have a file system that it cannot write to.
"""

from collections.abc import Callable
from typing import Final

from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import frame_of, message_size
from xsd.protocol.limits import HEADER_SIZE, PAYLOAD_MAX
from xsd.protocol.number import c_int, c_unsigned, parse_domid
from xsd.protocol.reply import LATER, encode_error, encode_reply, text_payload
from xsd.store import Watch

PIECE: Final = PAYLOAD_MAX - 1
"""Bytes of a state in one answer, behind which there is a NUL."""

BROUGHT_MAX: Final = 4 << 20
"""Bytes that a client may bring; by default fewer may wait for a guest."""

Command = Callable[[Core, Connection, list[bytes]], bytes]


def state(core: Core, connection: Connection, arguments: list[bytes]) -> bytes:
    """Carry one of the commands out.

    `copy` has the state of this moment copied, in Xen's migration format with what is
    ours, and is answered with its size in bytes; `read OFFSET` is answered with
    `PIECE` bytes of that, fewer at the end. The copy ends with the connection.

    The others give a domain that has a ring what it had in another place: `watch DOMID
    DEPTH PATH TOKEN` one of its watches, of which it is told nothing now; `put HEX`,
    again and again, brings bytes, and then `input DOMID` has them taken for what it has
    sent, or `output DOMID BEGUN` sends them, of which so many end a message.

    Raises:
        XenStoreError: EINVAL for anything else; E2BIG if more than BROUGHT_MAX bytes
            are brought; EBUSY if the connection waits for an answer, or the domain's
            ring is in use; ENOENT if there is no copy, or no ring.
    """
    name = arguments[0] if arguments else b""
    command, count = _COMMANDS.get(name, (_unknown, len(arguments) - 1))
    if len(arguments) != count + 1:
        raise XenStoreError(Errno.EINVAL, f"{count} arguments are to follow", name)
    return command(core, connection, arguments[1:])


def _unknown(_core: Core, _connection: Connection, _arguments: list[bytes]) -> bytes:
    raise XenStoreError(Errno.EINVAL, "unknown command about the state")


# A copy.


def _copy(core: Core, connection: Connection, _arguments: list[bytes]) -> bytes:
    if connection.id in core.deferred:
        raise XenStoreError(Errno.EBUSY, "an answer is still to come")
    core.copies.drop(connection.id)
    core.copies.begin(connection.id)
    return LATER


def answer(core: Core, number: int, size: int) -> None:
    """Answer `copy`: the copy is whole, or there is none.

    Args:
        core: The engine's state.
        number: Of the connection; it may be gone.
        size: Bytes of the copy; negative if it has failed.
    """
    header = core.deferred.pop(number, None)
    if header is None:
        return
    frame = frame_of(header, b"")
    if size < 0:
        reply = encode_error(frame, Errno.EIO)
    else:
        reply = encode_reply(frame, text_payload(b"%d" % size))
    connection = core.connections[number]
    connection.outbox.append(reply)
    core.touch(connection)


def _read(core: Core, connection: Connection, arguments: list[bytes]) -> bytes:
    piece = core.copies.read(connection.id, c_unsigned(arguments[0]), PIECE)
    if not piece:
        raise XenStoreError(Errno.EINVAL, "offset behind the end", arguments[0])
    return piece


# A domain.


def _watch(core: Core, _connection: Connection, arguments: list[bytes]) -> bytes:
    """As handlers.watch, but for another, who knows it already."""
    ring = _ring_of(core, arguments[0])
    shown, token = arguments[2], arguments[3]
    path = core.path(ring, shown, special=True)
    if (path, token) in ring.watches:
        raise XenStoreError(Errno.EEXIST, "it has this watch already", shown)
    depth = c_int(arguments[1])
    new = Watch(ring.id, ring.caller, path, shown, token, depth)
    core.store.watch(new)
    ring.watches[path, token] = new
    return b""


def _put(core: Core, connection: Connection, arguments: list[bytes]) -> bytes:
    try:
        data = bytes.fromhex(arguments[0].decode("ascii"))
    except ValueError as error:
        raise XenStoreError(Errno.EINVAL, "not hexadecimal", arguments[0]) from error
    before = core.brought.get(connection.id, b"")
    if len(before) + len(data) > BROUGHT_MAX:
        raise XenStoreError(Errno.E2BIG, f"over {BROUGHT_MAX} bytes were brought")
    core.brought[connection.id] = before + data
    return b""


def _input(core: Core, connection: Connection, arguments: list[bytes]) -> bytes:
    data = core.brought.pop(connection.id, b"")
    ring = _ring_of(core, arguments[0])
    if ring.backlog or ring.decoder.pending:
        raise XenStoreError(Errno.EBUSY, f"dom{ring.caller.domid} has sent something")
    ring.backlog = ring.decoder.feed(data)
    if ring.backlog and not ring.queued:
        core.schedule.queue(ring)
    return b""


def _output(core: Core, connection: Connection, arguments: list[bytes]) -> bytes:
    data = core.brought.pop(connection.id, b"")
    ring = _ring_of(core, arguments[0])
    begun = c_unsigned(arguments[1])
    if ring.outbox.size:
        raise XenStoreError(Errno.EBUSY, f"dom{ring.caller.domid} is sent something")
    at = begun
    while at + HEADER_SIZE <= len(data):
        at += message_size(data, at)
    if at != len(data):
        raise XenStoreError(Errno.EINVAL, "no whole messages")
    ring.outbox.restore(data, begun, ring.tally)
    core.touch(ring)
    return b""


def _ring_of(core: Core, domid: bytes) -> Connection:
    for each in core.connections_of(parse_domid(domid)):
        if each.is_channel:
            return each
    raise XenStoreError(Errno.ENOENT, "no ring", domid)


_COMMANDS: Final[dict[bytes, tuple[Command, int]]] = {
    b"copy": (_copy, 0),
    b"read": (_read, 1),
    b"watch": (_watch, 4),
    b"put": (_put, 1),
    b"input": (_input, 1),
    b"output": (_output, 2),
}
"""Each command, and how many arguments it takes."""
