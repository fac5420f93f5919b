r"""A file with everything that clients and guests send, for debugging.

One JSON object a line, in the order in which the daemon has taken the bytes::

    {"at": 5230, "connection": 7, "domid": 0, "what": "open"}
    {"at": 5231, "connection": 7, "domid": 0, "what": "data", "bytes": "\u0002..."}
    {"at": 5240, "connection": 7, "domid": 0, "what": "close"}

`at` is milliseconds since the start of the recording; a connection is a socket's or a
ring's and its number is never used again; `bytes` are those of the wire, one character
each (Latin-1), cut as they came: a frame may begin in one line and end in another.
What is sent to clients is not recorded.
"""

import json
import os
import time
from pathlib import Path
from typing import final

import structlog

from xsd.daemon.logsetup import FILE_MODE
from xsd.engine.inputs import CAME, REQUEST, WENT, Input, Tape
from xsd.protocol.frame import encode_frame

log = structlog.get_logger(__name__)


@final
class FileRecorder(Tape):
    """Writes the file, each line at once.

    If that fails, the disk being full for instance, recording ends and serving goes on.
    """

    def __init__(self, path: Path) -> None:
        """Make the file, in the place of one that is there.

        Raises:
            OSError: If it cannot be made.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, FILE_MODE)
        self._begun = time.monotonic()

    def take(self, entry: Input) -> None:
        """See `Tape.take`."""
        if entry.kind == CAME:
            self._write(entry, {"what": "open"})
        elif entry.kind == WENT:
            self._write(entry, {"what": "close"})
        elif entry.kind == REQUEST and entry.frame is not None:
            frame = entry.frame
            data = encode_frame(frame.op, frame.req_id, frame.tx_id, frame.payload)
            self._write(entry, {"what": "data", "bytes": data.decode("latin-1")})

    def end_turn(self) -> None:
        """Nothing: each line is written at once."""

    def close(self) -> None:
        """End the recording; a second time does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, entry: Input, fields: dict[str, str]) -> None:
        if self._fd < 0:
            return
        line = self._line(entry, fields)
        try:
            os.write(self._fd, line)
        except OSError as error:
            log.error("record.failed", reason=str(error))  # noqa: TRY400  no defect
            self.close()

    def _line(self, entry: Input, fields: dict[str, str]) -> bytes:
        line = {
            "at": int((time.monotonic() - self._begun) * 1000),
            "connection": entry.connection,
            "domid": entry.domid,
            **fields,
        }
        return json.dumps(line).encode() + b"\n"
