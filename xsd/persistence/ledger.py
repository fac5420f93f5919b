r"""The ledger: what is under way with guests on rings, in a file that is mapped.

It is for the end of the process, not of the machine: guests end with that, too. Memory
that is mapped from a file is then as the stores of the process have left it, in their
order. So a slot has two records, and one word that says which of them counts: storing
it is what changes the slot, from one state to the next and through nothing between.

The file has a head, in the byte order of the machine, and slots from byte 4096 on::

    magic   8 bytes   "xsdledg\n"
    format  u32       1
    pid     u32       of the process that has used it last
    boot    36 bytes  of the machine: its boot_id

A slot::

    word      u64           its lowest bit is the number of the record that counts
    records   2 x 64 bytes  from byte 64 on, see below
    messages  2 x 4,112     what is being put on the ring, and what was before that
    requests  8,192         what came off it: byte x of the stream at x modulo 8,192

A record::

    connection u64    number of the connection; 0 if the slot is free
    first      u64    ordinal of the first request of which the reply was not begun
    start, end u64    what there is of the stream of requests
    told       u64    pulse of the store up to which all events were at least begun
    restarts   u32    of the connection
    ahead      u32    replies that are due before that to the first request there
    taken      u32    consumer index of the ring's requests
    produced   u32    producer index of its responses, where the message begins
    size       u16    of the message
    place      u8     which of the two it is
    emptied    u8     1 if the ring is being emptied

The blocks of the file are allocated before they are mapped; see segment.py.
"""

import mmap
import os
import struct
from pathlib import Path
from typing import Final, final

from xsd.engine.connection import Connection
from xsd.engine.ledger import Ledger, Slot
from xsd.engine.owed import Slip
from xsd.persistence.directory import Directory
from xsd.protocol.frame import message_size
from xsd.protocol.limits import HEADER_SIZE, PAYLOAD_MAX, UINT_MAX
from xsd.protocol.reply import is_event

NAME: Final = "ledger"

_MAGIC: Final = b"xsdledg\n"
_FORMAT: Final = 1
_HEAD: Final = struct.Struct("=8sII36s")
_HEAD_BYTES: Final = 4096
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

_RECORD: Final = struct.Struct("=QQQQQIIIIHBB")
_pack_into: Final = _RECORD.pack_into

_RECORDS: Final = 64
_RECORD_BYTES: Final = 64
_MESSAGES: Final = _RECORDS + 2 * _RECORD_BYTES
MESSAGE_MAX: Final = HEADER_SIZE + PAYLOAD_MAX
_REQUESTS: Final = _MESSAGES + 2 * MESSAGE_MAX

REQUESTS_BYTES: Final = 8192
"""Bytes of requests that are kept of a guest; two of the largest would not fit."""

SLOT_BYTES: Final = 16_640
_SLOTS: Final = 16
_CHUNK_BYTES: Final = _SLOTS * SLOT_BYTES
"""The file grows by so many slots; whole pages."""


@final
class MappedSlot(Slot):
    """A slot of the file."""

    __slots__ = (
        "_ahead",
        "_connection",
        "_end",
        "_first",
        "_place",
        "_produced",
        "_restarts",
        "_start",
        "_told",
        "_turn",
        "_view",
        "_word",
    )

    def __init__(self, view: memoryview) -> None:
        """Look at a slot.

        Args:
            view: Its bytes, SLOT_BYTES of them, beginning at a multiple of 8.
        """
        super().__init__()
        self._view = view
        # One store of 64 bits, that nobody can see half of.
        self._word = view[:8].cast("Q")
        self._turn = self._word[0]
        at = _RECORDS + (self._turn & 1) * _RECORD_BYTES
        fields: tuple[int, ...] = _RECORD.unpack_from(view, at)
        self._connection, self._first, self._start, self._end = fields[:4]
        self._told, self._restarts, self._ahead, self.taken = fields[4:8]
        self._produced, self.size, self._place, emptied = fields[8:]
        self.is_emptied = emptied != 0
        self.room = REQUESTS_BYTES - (self._end - self._start)

    def release(self) -> None:
        """Give the views up; the slot cannot be used any more."""
        self._word.release()
        self._view.release()

    @property
    def connection(self) -> int:
        """Number of the connection; 0 if the slot is free."""
        return self._connection

    def sent(self, produced: int) -> int:
        """See `Slot.sent`."""
        # A guest that spoils the index gets less than it could.
        return min((produced - self._produced) & UINT_MAX, self.size)

    def slip(self) -> Slip | None:
        """What it says for a replay; None if nothing is under way or it makes no sense.

        The message that was being put on the ring is in it as a whole.
        """
        count = self._end - self._start
        if (
            not self._connection
            or self.is_emptied
            or not 0 <= count <= REQUESTS_BYTES
            or self.size > MESSAGE_MAX
            or self._place > 1
        ):
            return None
        at = _MESSAGES + self._place * MESSAGE_MAX
        return Slip(
            self._connection,
            self._restarts,
            self._first,
            self._first + self._ahead,
            self._read(self._start, count),
            bytes(self._view[at : at + self.size]),
            self._told,
        )

    def begin(self, connection: Connection, taken: int, produced: int) -> bool:
        """See `Slot.begin`."""
        unsent, begun = connection.outbox.unsent()
        pending = connection.pending
        if len(pending) > REQUESTS_BYTES:
            return False
        waiting = connection.outbox.frames()
        self._connection = connection.id
        self._restarts = connection.restarts
        self._ahead = sum(not is_event(frame) for frame in waiting)
        self._first = connection.served + 1 - self._ahead
        self._start = self._end
        self.room = REQUESTS_BYTES
        self._told = 0
        self.taken = taken
        self.is_emptied = False
        self._message(unsent[:begun], produced)
        self._append(pending)
        self._flip()
        return True

    def empty(self) -> None:
        """See `Slot.empty`."""
        self.is_emptied = True
        self._flip()

    def take(self, data: bytes, taken: int) -> None:
        """See `Slot.take`."""
        self._append(data)
        self.taken = taken
        self._flip()

    def put(self, message: bytes, produced: int, told: int) -> None:
        """See `Slot.put`."""
        self._message(message, produced)
        if told:
            self._told = told
        if not is_event(message):
            self._first += 1
            if self._ahead:
                self._ahead -= 1
            else:
                size = self._request_size()
                self._start += size
                self.room += size
        self._flip()

    def free(self) -> None:
        """See `Slot.free`."""
        self._connection = 0
        self._flip()

    def _flip(self) -> None:
        """Write the record that does not count, and let it be the one that does."""
        turn = self._turn + 1
        _pack_into(
            self._view,
            _RECORDS + (turn & 1) * _RECORD_BYTES,
            self._connection,
            self._first,
            self._start,
            self._end,
            self._told,
            self._restarts,
            self._ahead,
            self.taken,
            self._produced,
            self.size,
            self._place,
            self.is_emptied,
        )
        self._word[0] = turn
        self._turn = turn

    def _message(self, message: bytes, produced: int) -> None:
        """Copy a message to where that is not which counts."""
        size = len(message)
        place = 1 - self._place
        at = _MESSAGES + place * MESSAGE_MAX
        self._view[at : at + size] = message
        self._place = place
        self.size = size
        self._produced = produced

    def _append(self, data: bytes) -> None:
        """Copy bytes behind the others, where there is none that counts."""
        size = len(data)
        start = self._end % REQUESTS_BYTES
        at = _REQUESTS + start
        if start + size <= REQUESTS_BYTES:
            self._view[at : at + size] = data
        else:
            first = REQUESTS_BYTES - start
            self._view[at : at + first] = data[:first]
            self._view[_REQUESTS : _REQUESTS + size - first] = data[first:]
        self._end += size
        self.room -= size

    def _read(self, place: int, size: int) -> bytes:
        start = place % REQUESTS_BYTES
        first = min(size, REQUESTS_BYTES - start)
        at = _REQUESTS + start
        view = self._view
        return bytes(view[at : at + first]) + bytes(
            view[_REQUESTS : _REQUESTS + size - first]
        )

    def _request_size(self) -> int:
        """Bytes of the first request, of those that are there."""
        size = message_size(self._read(self._start, HEADER_SIZE), 0)
        return min(size, self._end - self._start)


@final
class MappedLedger(Ledger):
    """The file."""

    __slots__ = ("_fd", "_free", "_maps", "_used")

    def __init__(self, directory: Directory, *, taken: bool = False) -> None:
        """Open it, or make it if there is none that can be gone on with.

        Args:
            directory: Where.
            taken: The state is not that of the journal there: what is noted counts
                only if this very process has noted it, as another program.

        Raises:
            OSError: If that is not possible.
        """
        self._maps: list[mmap.mmap] = []
        self._used: dict[int, MappedSlot] = {}
        self._free: list[MappedSlot] = []
        head = [_MAGIC, _FORMAT, os.getpid(), _BOOT_ID.read_bytes()[:36]]
        self._fd = _open(directory, head, taken=taken)
        try:
            os.pwrite(self._fd, _HEAD.pack(*head), 0)
            size = os.fstat(self._fd).st_size - _HEAD_BYTES
            for number in range(max(size // _CHUNK_BYTES, 1)):
                self._map(number)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        for slot in [*self._used.values(), *self._free]:
            slot.release()
        for each in self._maps:
            each.close()
        os.close(self._fd)

    def slips(self) -> list[Slip]:
        """What is noted."""
        found = [slot.slip() for slot in self._used.values()]
        return [slip for slip in found if slip is not None]

    def retain(self, connections: dict[int, Connection]) -> None:
        """Free the slots of all connections but these."""
        for number in [each for each in self._used if each not in connections]:
            self._used[number].free()
        self._sort_out()

    def slot_of(self, connection: Connection) -> tuple[Slot, bool] | None:
        """See `Ledger.slot_of`."""
        slot = self._used.get(connection.id)
        if slot is not None and slot.connection == connection.id:
            return slot, True
        self._sort_out()
        if not self._free:
            try:
                self._map(len(self._maps))
            except OSError:
                return None
        slot = self._free.pop()
        self._used[connection.id] = slot
        return slot, False

    def _sort_out(self) -> None:
        """Find the slots again that have been freed."""
        for number, slot in list(self._used.items()):
            if slot.connection != number:
                del self._used[number]
                self._free.append(slot)

    def _map(self, number: int) -> None:
        """Map slots, and make them if they are not there.

        Raises:
            OSError: If there is no room for them.
        """
        offset = _HEAD_BYTES + number * _CHUNK_BYTES
        os.posix_fallocate(self._fd, offset, _CHUNK_BYTES)
        mapping = mmap.mmap(self._fd, _CHUNK_BYTES, offset=offset)
        self._maps.append(mapping)
        view = memoryview(mapping)
        for start in range(0, _CHUNK_BYTES, SLOT_BYTES):
            slot = MappedSlot(view[start : start + SLOT_BYTES])
            if slot.connection:
                self._used[slot.connection] = slot
            else:
                self._free.append(slot)
        view.release()


def _open(directory: Directory, head: list[object], *, taken: bool) -> int:
    """Open the file that is there, if it is of this machine and can be read.

    Returns:
        Its descriptor.
    """
    try:
        fd = directory.open(NAME, os.O_RDWR)
    except FileNotFoundError:
        return _make(directory)
    found = os.pread(fd, _HEAD.size, 0)
    if len(found) == _HEAD.size:
        fields = list(_HEAD.unpack(found))
        # Guests of before the machine was started are gone.
        if not taken:
            fields[2] = head[2]
        if fields == head:
            return fd
    os.close(fd)
    return _make(directory)


def _make(directory: Directory) -> int:
    fd = directory.begin(NAME)
    try:
        os.posix_fallocate(fd, 0, _HEAD_BYTES + _CHUNK_BYTES)
        directory.finish(NAME, durable=False)
    except BaseException:
        os.close(fd)
        directory.give_up(NAME)
        raise
    return fd
