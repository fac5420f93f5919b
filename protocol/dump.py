"""The text in which oxenstored hands its state on: a line for each thing.

A line is words between commas, of which paths, tokens, permissions and values are in
hexadecimal:

    $xenstored-dump-format
    global,FD                       the listening socket
    evtchn-dev,FD,PORT              of event channels; of "a domain has ended"
    socket,FD                       a client
    dom,DOMID,MFN,PORT,PORT         a domain with a ring; its port and ours
    watch,DOMID,PATH,TOKEN          or -FD in the place of DOMID
    store,PATH,PERMS,VALUE          permissions with NULs between them

There is nothing in it of requests and replies that are under way, of transactions,
targets, features and limits. Lines that nobody knows are skipped.
"""

from typing import Final, final

from xsd.protocol.errors import XenStoreError
from xsd.protocol.perms import parse_permissions
from xsd.protocol.records import (
    ConnectionData,
    GlobalData,
    NodeData,
    Record,
    WatchData,
)

FIRST_LINE: Final = b"$xenstored-dump-format"

_GLOBAL: Final = b"global"
_DEVICE: Final = b"evtchn-dev"
_SOCKET: Final = b"socket"
_DOMAIN: Final = b"dom"
_WATCH: Final = b"watch"
_STORE: Final = b"store"

_WORDS: Final = {_GLOBAL: 1, _DEVICE: 2, _SOCKET: 1, _DOMAIN: 4, _WATCH: 3, _STORE: 3}
"""How many there are in a line after the first."""

_SPECIAL: Final = (b"/@introduceDomain", b"/@releaseDomain")


@final
class DumpError(Exception):
    """A dump is not what it must be; nothing of it may be used.

    Attributes:
        reason: What is wrong.
        line: Number of the line at fault, from 1 on.
    """

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason, line)
        self.reason = reason
        self.line = line

    def __str__(self) -> str:
        return f"{self.reason} (line {self.line})"


@final
class Dump:
    """What a dump tells.

    Attributes:
        records: The same in Xen's records, in order; nodes come last, siblings by name,
            as oxenstored lists them.
        virq_port: Our port at which we are told that a domain has ended, or 0.
        remote_ports: The domains' ends of event channels, by ours.
        skipped: Numbers of the lines that nobody knows.
    """

    __slots__ = (
        "_nodes",
        "_rings",
        "_shared",
        "_sockets",
        "records",
        "remote_ports",
        "skipped",
        "virq_port",
    )

    def __init__(self, data: bytes) -> None:
        """Read one.

        Args:
            data: All of it.

        Raises:
            DumpError: If it is none, is cut off, or something in it is wrong.
        """
        self.records: list[Record] = []
        self.virq_port = 0
        self.remote_ports: dict[int, int] = {}
        self.skipped: list[int] = []
        self._shared = GlobalData(-1, -1)
        self._rings: dict[int, int] = {}
        self._sockets: dict[int, int] = {}
        lines = data.split(b"\n")
        if lines[0] != FIRST_LINE:
            raise DumpError("no dump of oxenstored", 1)
        if lines[-1]:
            raise DumpError("cut off", len(lines))
        self.records.append(self._shared)
        self._nodes: list[tuple[list[bytes], NodeData]] = []
        for place in range(1, len(lines) - 1):
            try:
                self._take(lines[place], place + 1)
            except (ValueError, XenStoreError) as error:
                raise DumpError(f"cannot be read: {error}", place + 1) from error
        self._nodes.sort(key=_place)
        self.records.extend([node for _names, node in self._nodes])

    def _take(self, line: bytes, number: int) -> None:
        kind, *words = line.split(b",")
        count = _WORDS.get(kind)
        if count is None:
            self.skipped.append(number)
        elif len(words) != count:
            raise ValueError(f"{len(words)} words and not {count}")
        elif kind == _STORE:
            self._node(words)
        elif kind == _WATCH:
            self._watch(words)
        elif kind == _SOCKET:
            self._socket(words)
        elif kind == _DOMAIN:
            self._domain(words)
        elif kind == _DEVICE:
            self._device(words)
        else:
            self._shared.socket_fd = int(words[0])

    def _device(self, words: list[bytes]) -> None:
        self._shared.evtchn_fd = int(words[0])
        self.virq_port = int(words[1])

    def _socket(self, words: list[bytes]) -> None:
        record = self._connection(self._sockets, int(words[0]))
        record.fd = int(words[0])

    def _domain(self, words: list[bytes]) -> None:
        record = self._connection(self._rings, int(words[0]))
        record.domid = int(words[0])
        record.port = int(words[3])
        self.remote_ports[record.port] = int(words[2])

    def _connection(self, known: dict[int, int], end: int) -> ConnectionData:
        if end in known or end < 0:
            raise ValueError(f"{end} is there twice, or cannot be")
        number = len(self._rings) + len(self._sockets) + 1
        known[end] = number
        record = ConnectionData(number)
        self.records.append(record)
        return record

    def _watch(self, words: list[bytes]) -> None:
        whose = int(words[0])
        known = self._rings
        if words[0].startswith(b"-"):
            known = self._sockets
            whose = -whose
        if whose not in known:
            raise ValueError(f"a watch of {words[0]!r}, who is not there")
        self.records.append(WatchData(known[whose], _text(words[1]), _text(words[2])))

    def _node(self, words: list[bytes]) -> None:
        path = _text(words[0])
        if path in _SPECIAL:
            path = path[1:]
        perms = parse_permissions(_text(words[1]).split(b"\0"))
        node = NodeData(path, _text(words[2]), perms.entries)
        self._nodes.append((path.rstrip(b"/").split(b"/"), node))


def _place(node: tuple[list[bytes], NodeData]) -> list[bytes]:
    return node[0]


def _text(word: bytes) -> bytes:
    return bytes.fromhex(word.decode("ascii"))
