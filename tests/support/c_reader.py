"""A model of how Xen's C daemon reads a stream: what ends it, and what it makes of it.

It is written against what C demands, and shares no code with ours.
"""

import struct
from collections.abc import Iterator
from typing import Final, final

END, GLOBAL, CONNECTION, WATCH, TRANSACTION, NODE, QUOTA, DOMAIN = range(8)
NO_TARGET: Final = 0x7FF4
SPECIAL: Final = (b"@releaseDomain", b"@introduceDomain")


class FatalError(Exception):
    """It would end here, and XenStore with it."""


@final
class Reader:
    """What C has made of a stream.

    Attributes:
        fds: Listening socket and device of event channels.
        rings: Domain, target and local port by connection.
        sockets: Descriptors by connection.
        buffers: Input, output, and how much of that ends a message, by connection.
        watches: Connection, path and token, in order.
        nodes: Value and permissions by path.
        children: Names by path, in order.
        limits: Of all.
        domains: Features and limits of those it has met.
        replaced: Domains that are others by now, and are cleaned away.
    """

    def __init__(
        self, data: bytes, there: dict[int, int], *, newest: int = 2, dom0: int = 0
    ) -> None:
        """Read it.

        Args:
            data: The stream.
            there: Unique ids of the domains that Xen has.
            newest: Latest version that it knows.
            dom0: The privileged domain.
        """
        self._there = there
        self._dom0 = dom0
        self.fds = (-1, -1)
        self.rings: dict[int, tuple[int, int, int]] = {}
        self.sockets: dict[int, int] = {}
        self.buffers: dict[int, tuple[bytes, bytes, int]] = {}
        self.watches: list[tuple[int, bytes, bytes]] = []
        self.nodes: dict[bytes, tuple[bytes, list[str]]] = {}
        self.children: dict[bytes, list[bytes]] = {}
        self.limits: dict[str, int] = {}
        self.domains: dict[int, tuple[int, dict[str, int]]] = {}
        self.replaced: list[int] = []
        self._met: set[int] = set()
        self._has_store = False
        _demand(data[:8] == b"xenstore", "the ident is another")
        version, flags = struct.unpack_from(">II", data, 8)
        _demand(1 <= version <= newest, f"version {version}")
        _demand(flags == 0, "the byte order is another")
        self._version = version
        read = {
            GLOBAL: self._global,
            CONNECTION: self._connection,
            WATCH: self._watch,
            NODE: self._node,
            QUOTA: self._quota,
            DOMAIN: self._domain,
        }
        for kind, body in _records(data):
            _demand(kind in read, f"a record of type {kind} would be of no use")
            _demand((kind == GLOBAL) == (self.fds == (-1, -1)), "the order is another")
            read[kind](body)
        self._check()

    def _global(self, body: bytes) -> None:
        self.fds = struct.unpack("<ii", body)

    def _connection(self, body: bytes) -> None:
        number, kind, fields, low, high, port = struct.unpack_from("<IHHHHI", body)
        got, begun, owed = struct.unpack_from("<HHI", body, 16)
        _demand(number > 0, "a connection without a number")
        known = number in self.rings or number in self.sockets
        _demand(not known, "a connection is there twice")
        _demand(24 + got + owed <= len(body), "buffers are cut off")
        pending, unsent = body[24 : 24 + got], body[24 + got : 24 + got + owed]
        self.buffers[number] = pending, unsent, begun
        _demand(begun <= owed, "more is begun than there is")
        _demand(_is_messages(unsent[begun:]), "what is owed is no message")
        if kind == 1:
            self.sockets[number] = low | high << 16
            _demand(self.sockets[number] < 1024, "no descriptor")
            return
        _demand(low not in {ring[0] for ring in self.rings.values()}, "two rings")
        _demand(port > 0, "a ring without a port")
        _demand(low in self._there, "a ring of nobody")
        self.rings[number] = low, -1 if high == NO_TARGET else high, port
        self._met.update({low, high} - {NO_TARGET})
        if low == self._dom0:
            self._has_store = True
        if fields & 1:
            _demand(self._version > 1, "version 1 has no unique ids")
            at = 24 + got + owed + -(got + owed) % 8
            if struct.unpack_from("<Q", body, at)[0] != self._there[low]:
                self.replaced.append(low)

    def _watch(self, body: bytes) -> None:
        number, path_size, token_size = struct.unpack_from("<IHH", body)
        path, token = body[8:][:path_size], body[8 + path_size :][:token_size]
        _demand(path[-1:] == token[-1:] == b"\0", "a watch is cut off")
        known = number in self.rings or number in self.sockets
        _demand(known, "a watch of nobody")
        self.watches.append((number, path[:-1], token[:-1]))

    def _node(self, body: bytes) -> None:
        whose, _tx, path_size, size, _access, count = struct.unpack_from(
            "<IIHHHH", body
        )
        _demand(self._has_store, "a node before the ring of the privileged domain")
        _demand(whose == 0, "a node that is not committed")
        _demand(count > 0, "a node that is nobody's")
        perms = []
        for at in range(16, 16 + 4 * count, 4):
            letter, stale, domid = struct.unpack_from("<cBH", body, at)
            _demand(letter in b"nrwb", "an unknown permission")
            perms.append(letter.decode() + str(domid) + "?" * (stale & 1))
        at = 16 + 4 * count
        path, value = body[at : at + path_size - 1], body[at + path_size :][:size]
        _demand(path not in self.nodes, f"{path!r} is there twice")
        above, _, name = path.rpartition(b"/")
        if path[:1] == b"/" and path != b"/":
            above = above or b"/"
            _demand(above in self.nodes, f"{path!r} is below nothing")
            self.children[above].append(name)
        owner = int(perms[0].strip("nrwb?"))
        _demand(owner in self._there, f"{path!r} is of dom{owner}, who is not there")
        self._met.add(owner)
        self.nodes[path] = value, perms
        self.children[path] = []

    def _quota(self, body: bytes) -> None:
        count, common = struct.unpack_from("<HH", body)
        _demand(common == 0, "limits of all together")
        self.limits = _limits(body[4:], count)

    def _domain(self, body: bytes) -> None:
        domid, count, features = struct.unpack_from("<HHI", body)
        _demand(domid in self._met, f"dom{domid} is not known")
        self.domains[domid] = features, _limits(body[8:], count)

    def _check(self) -> None:
        for path in (b"/", *SPECIAL):
            _demand(path in self.nodes, f"there is no {path!r}")


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise FatalError(what)


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 16
    while True:
        kind, size = struct.unpack_from("<II", data, at)
        _demand(size % 8 == 0, "a length without its padding")
        at += 8
        _demand(at + size <= len(data), "it is cut off")
        if kind == END:
            _demand(at == len(data), "something follows")
            return
        yield kind, data[at : at + size]
        at += size


def _limits(body: bytes, count: int) -> dict[str, int]:
    values = struct.unpack_from(f"<{count}I", body)
    names = body[4 * count :].split(b"\0")[:count]
    return {name.decode(): value for name, value in zip(names, values, strict=True)}


def _is_messages(data: bytes) -> bool:
    at = 0
    while at + 16 <= len(data):
        at += 16 + int(struct.unpack_from("<I", data, at + 12)[0])
    return at == len(data)
