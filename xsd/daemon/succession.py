"""How one daemon follows another in the same process: what is handed on, and read.

The state is a file in Xen's migration format. What Xen's records have no room for and
the next of our own daemons needs to know of the host stands in one more record:
`HOST`, JSON with the descriptors that stay open, and the hypervisor's part.
"""

import json
import os
import socket
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

from xsd.client.address import RUN_DIRECTORY, RUNDIR_VARIABLE
from xsd.daemon.logsetup import FILE_MODE
from xsd.daemon.wayback import STATE_VARIABLE, follows_oxenstored
from xsd.engine import Engine
from xsd.engine.adopted import Takeover
from xsd.engine.foreign import adopt, is_ours
from xsd.engine.image import image, load
from xsd.engine.update import late_answer
from xsd.protocol.dump import FIRST_LINE, Dump, DumpError
from xsd.protocol.limits import HEADER_SIZE
from xsd.protocol.records import (
    ConnectionData,
    GlobalData,
    Record,
    UnknownData,
)
from xsd.protocol.reply import OK
from xsd.protocol.stream import (
    VERSION_MAX,
    StreamError,
    StreamReader,
    StreamWriter,
    write_stream,
)
from xsd.store import Store
from xsd.store.check import verify
from xsd.store.load import ImageError

HOST: Final = 0x78736402
"""Type of the record with what one of our daemons tells the next of its host."""

_NAME: Final = "state_dump"


class SuccessionError(Exception):
    """A state cannot be taken over; the text says why."""


@final
class Inheritance:
    """What another daemon has left.

    Attributes:
        records: Its state.
        version: Of the stream.
        host: What our own daemons tell of theirs; of oxenstored's its event channels
            alone, of another's nothing.
        is_of_oxenstored: Whether that daemon has left it.
        came_back: Why another could not take over, if it was left to ourselves.
    """

    __slots__ = (
        "_path",
        "came_back",
        "host",
        "is_of_oxenstored",
        "records",
        "version",
    )

    def __init__(self, path: Path) -> None:
        """Read it, all of it, and touch nothing.

        Raises:
            SuccessionError: If it is not there, or cannot be read as a whole.
        """
        self._path = path
        self.came_back = ""
        self.is_of_oxenstored = False
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SuccessionError(f"{path}: {error.strerror}") from error
        self.host: dict[str, Any] = {}
        self.records: list[Record] = []
        try:
            if data.startswith(FIRST_LINE):
                self._read_dump(Dump(data))
            else:
                self._read_stream(StreamReader(data))
        except (DumpError, StreamError) as error:
            raise SuccessionError(str(error)) from error

    def _read_dump(self, dump: Dump) -> None:
        """That of oxenstored, who has given nothing up."""
        self.is_of_oxenstored = True
        self.version = VERSION_MAX
        self.records += dump.records
        remote = {str(port): remote for port, remote in dump.remote_ports.items()}
        evtchn = self.shared.evtchn_fd
        kept = {"evtchn": evtchn, "virq": dump.virq_port, "remote": remote}
        self.host = {"kept": kept}

    def _read_stream(self, reader: StreamReader) -> None:
        """That of C xenstored, or of one of ours."""
        self.version = reader.version
        while (record := reader.next()) is not None:
            self.records.append(record)
        for record in self.records:
            if isinstance(record, UnknownData) and record.kind == HOST:
                try:
                    self.host = json.loads(record.body.rstrip(b"\0"))
                except ValueError as error:
                    raise SuccessionError(
                        f"what it tells of its host: {error}"
                    ) from error

    def answer_instead(self, reason: str) -> None:
        """Have whoever asked for an update told why there was none.

        The answer that the other process would have given is the last thing that
        waits for that client.
        """
        asked, header = self.host.get("asked", (0, ""))
        for record in self.records:
            if isinstance(record, ConnectionData) and record.number == asked:
                kept = len(record.unsent) - HEADER_SIZE - len(OK)
                reply = late_answer(bytes.fromhex(header), reason)
                record.unsent = record.unsent[:kept] + reply

    @property
    def listens_at(self) -> Path | None:
        """The absolute path of the socket that is left, if it has one."""
        descriptor = self.shared.socket_fd
        if descriptor < 0:
            return None
        # Not a socket object, which would close it in the end.
        with suppress(OSError):
            listener = socket.socket(fileno=descriptor)
            address = listener.getsockname()
            listener.detach()
            if isinstance(address, str) and address.startswith("/"):
                return Path(address)
        return None

    def remove(self) -> None:
        """Take the file away: it is of no use any more."""
        with suppress(OSError):
            self._path.unlink()

    @property
    def is_ours(self) -> bool:
        """Whether one of our own daemons has left it."""
        return is_ours(self.records)

    @property
    def shared(self) -> GlobalData:
        """The descriptors that all clients share; -1 for each that there is not."""
        for record in self.records:
            if isinstance(record, GlobalData):
                return record
        return GlobalData(-1, -1)

    @property
    def kept(self) -> dict[str, Any]:
        """What the hypervisor's part goes on with; see `Hypervisor.keep`."""
        kept: dict[str, Any] = self.host.get("kept", {"evtchn": self.shared.evtchn_fd})
        return kept

    def keep_descriptors(self) -> None:
        """Have them closed in programs that are started, as all others are."""
        for descriptor in self.descriptors():
            with suppress(OSError):
                os.set_inheritable(descriptor, False)

    def descriptors(self) -> list[int]:
        """All that are open for us."""
        shared = self.shared
        found = {shared.socket_fd, shared.evtchn_fd, *self.host.get("descriptors", ())}
        found.update(
            record.fd for record in self.records if isinstance(record, ConnectionData)
        )
        return [each for each in found if each >= 0]

    def give_to(self, engine: Engine) -> Takeover:
        """Make a new engine what the other was.

        Raises:
            SuccessionError: If that is not possible; the engine is of no use then.
        """
        try:
            return adopt(engine, self.records, self.version)
        except ImageError as error:
            raise SuccessionError(str(error)) from error


def state_file(environ: MutableMapping[str, str], words: Sequence[str]) -> Path:
    """Where the daemon that is replaced has left its state.

    That is what `STATE_VARIABLE` says, or else the other daemon's place for it.

    Args:
        environ: The environment.
        words: The command line, from which it is seen who has written it.
    """
    named = environ.get(STATE_VARIABLE, "")
    if named:
        return Path(named)
    if follows_oxenstored(words):
        return Path(RUN_DIRECTORY, "db")
    return c_state_file(environ)


def c_state_file(environ: MutableMapping[str, str]) -> Path:
    """Where the C daemon leaves its state, and looks for it."""
    return Path(environ.get(RUNDIR_VARIABLE) or RUN_DIRECTORY) / _NAME


def read_state(path: Path) -> Inheritance:
    """Read what another daemon has left.

    Raises:
        SuccessionError: If it is not there, or cannot be read as a whole.
    """
    return Inheritance(path)


def write_state(path: Path, data: bytes) -> None:
    """Write a state for another process, in the place of one that is there.

    Raises:
        OSError: If that is not possible.
    """
    with suppress(FileNotFoundError):
        path.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, FILE_MODE)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of some bytes.

    Raises:
        OSError: If that is not possible.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def digest(engine: Engine) -> str:
    """What must be equal in a daemon that takes over: Xen's records of the state."""
    import hashlib  # noqa: PLC0415  for updates alone

    known = [each for each in image(engine) if not isinstance(each, UnknownData)]
    return hashlib.sha256(write_stream(known, StreamWriter())).hexdigest()


def check(path: Path, control: int, own: int) -> tuple[int, str]:
    """Load a state as if it were to be taken over, but take nothing over.

    Args:
        path: The file with the state.
        control: The control domain, by the settings.
        own: The domain that the daemon runs in, by the settings.

    Returns:
        An exit status, and a line: the digest of what was loaded, or what is wrong.
    """
    try:
        left = read_state(path)
        if left.host["who"] != [control, own]:
            return 1, "it is told to be another domain, or to obey another one"
        engine = Engine(Store(control, own_domid=own))
        load(engine, left.records)
    except (ImageError, SuccessionError, KeyError) as error:
        return 1, f"cannot take it over: {error}"
    faults = verify(engine.store)
    if faults:
        return 1, f"it has faults: {faults[0]}"
    return 0, digest(engine)
