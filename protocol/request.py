"""Requests: one class per message type that a client may send.

`parse_request` is the only place that takes payloads apart. Paths stay as they
were sent; what they mean depends on the connection and is decided later.

Strings end with a NUL. Where a request takes a number of strings, bytes after
the last NUL are ignored, as Xen's C daemon does.
"""

from collections.abc import Callable
from typing import Final, final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import PAYLOAD_MAX, UINT_MAX
from xsd.protocol.number import c_int, c_long, c_unsigned, parse_domid
from xsd.protocol.ops import FALSE, OP_LIMIT, TRUE, Op

UNLIMITED: Final = -1
"""Depth of a watch that sees everything below its path."""

OWN: Final = -1
"""In place of a domain id: the caller itself (GET_FEATURE)."""

GLOBAL: Final = -1
"""In place of a domain id: what holds for all that have no limit of their own."""

_ANY_NUMBER: Final = PAYLOAD_MAX


class Request:
    """What a client asks for; its class says which message type it was."""

    __slots__ = ()


@final
class Control(Request):
    """CONTROL: an operator's command."""

    __slots__ = ("arguments",)

    def __init__(self, arguments: list[bytes]) -> None:
        self.arguments = arguments


@final
class Directory(Request):
    """DIRECTORY: names of a node's children."""

    __slots__ = ("path",)

    def __init__(self, path: bytes) -> None:
        self.path = path


@final
class Read(Request):
    """READ: a node's value."""

    __slots__ = ("path",)

    def __init__(self, path: bytes) -> None:
        self.path = path


@final
class GetPerms(Request):
    """GET_PERMS: a node's permissions."""

    __slots__ = ("path",)

    def __init__(self, path: bytes) -> None:
        self.path = path


@final
class Watch(Request):
    """WATCH: tell of changes at and below a path.

    Attributes:
        path: Node or special name.
        token: Repeated in each event; any bytes but NUL.
        depth: Levels below the path that matter, or UNLIMITED. Only for
            connections that have FEATURE_WATCH_DEPTH.
    """

    __slots__ = ("depth", "path", "token")

    def __init__(self, path: bytes, token: bytes, depth: int) -> None:
        self.path = path
        self.token = token
        self.depth = depth


@final
class Unwatch(Request):
    """UNWATCH: give the watch of this path and token up."""

    __slots__ = ("path", "token")

    def __init__(self, path: bytes, token: bytes) -> None:
        self.path = path
        self.token = token


@final
class TransactionStart(Request):
    """TRANSACTION_START."""

    __slots__ = ()


@final
class TransactionEnd(Request):
    """TRANSACTION_END: commit, or else discard."""

    __slots__ = ("commit",)

    def __init__(self, commit: bool) -> None:
        self.commit = commit


@final
class Introduce(Request):
    """INTRODUCE: serve a domain.

    Attributes:
        domid: The domain.
        gfn: Frame number of its ring page; not needed where the page is
            mapped by grant.
        port: Its event channel, at least 1.
    """

    __slots__ = ("domid", "gfn", "port")

    def __init__(self, domid: int, gfn: int, port: int) -> None:
        self.domid = domid
        self.gfn = gfn
        self.port = port


@final
class Release(Request):
    """RELEASE: serve a domain no longer."""

    __slots__ = ("domid",)

    def __init__(self, domid: int) -> None:
        self.domid = domid


@final
class GetDomainPath(Request):
    """GET_DOMAIN_PATH: home of a domain, which need not exist."""

    __slots__ = ("domid",)

    def __init__(self, domid: int) -> None:
        self.domid = domid


@final
class Write(Request):
    """WRITE: set a node's value; the value may hold NULs."""

    __slots__ = ("path", "value")

    def __init__(self, path: bytes, value: bytes) -> None:
        self.path = path
        self.value = value


@final
class Mkdir(Request):
    """MKDIR: see to it that a node exists."""

    __slots__ = ("path",)

    def __init__(self, path: bytes) -> None:
        self.path = path


@final
class Rm(Request):
    """RM: see to it that a node and all below it do not exist."""

    __slots__ = ("path",)

    def __init__(self, path: bytes) -> None:
        self.path = path


@final
class SetPerms(Request):
    """SET_PERMS: replace a node's permissions; at least one entry."""

    __slots__ = ("path", "permissions")

    def __init__(self, path: bytes, permissions: list[bytes]) -> None:
        self.path = path
        self.permissions = permissions


@final
class IsDomainIntroduced(Request):
    """IS_DOMAIN_INTRODUCED."""

    __slots__ = ("domid",)

    def __init__(self, domid: int) -> None:
        self.domid = domid


@final
class Resume(Request):
    """RESUME: a domain that had shut down runs again."""

    __slots__ = ("domid",)

    def __init__(self, domid: int) -> None:
        self.domid = domid


@final
class SetTarget(Request):
    """SET_TARGET: give a domain the rights of its target."""

    __slots__ = ("domid", "target")

    def __init__(self, domid: int, target: int) -> None:
        self.domid = domid
        self.target = target


@final
class ResetWatches(Request):
    """RESET_WATCHES: drop the caller's watches and transactions."""

    __slots__ = ()


@final
class DirectoryPart(Request):
    """DIRECTORY_PART: names of children, from a byte of their list on.

    Attributes:
        path: The node.
        offset: 0 to 2**32 - 1: a negative number counts as a large one, which
            is behind the end of any list.
    """

    __slots__ = ("offset", "path")

    def __init__(self, path: bytes, offset: int) -> None:
        self.path = path
        self.offset = offset


@final
class GetFeature(Request):
    """GET_FEATURE: features of a domain, or of the caller (OWN)."""

    __slots__ = ("domid",)

    def __init__(self, domid: int) -> None:
        self.domid = domid


@final
class SetFeature(Request):
    """SET_FEATURE: features to be offered to a domain, any 32 bits."""

    __slots__ = ("domid", "features")

    def __init__(self, domid: int, features: int) -> None:
        self.domid = domid
        self.features = features


@final
class GetQuota(Request):
    """GET_QUOTA: one limit, of a domain or GLOBAL; without name, all names."""

    __slots__ = ("domid", "name")

    def __init__(self, domid: int, name: bytes) -> None:
        self.domid = domid
        self.name = name


@final
class SetQuota(Request):
    """SET_QUOTA: set a limit of a domain or GLOBAL.

    Attributes:
        domid: The domain, or GLOBAL.
        name: Which limit.
        value: 0 (no limit) to 2**32 - 2.
    """

    __slots__ = ("domid", "name", "value")

    def __init__(self, domid: int, name: bytes, value: int) -> None:
        self.domid = domid
        self.name = name
        self.value = value


def parse_request(op: int, payload: bytes) -> Request:
    """Take a request apart.

    Args:
        op: Message type, 32 bits.
        payload: As it came, up to 4,096 bytes.

    Raises:
        XenStoreError: ENOSYS for a type that nobody can call, EINVAL for a
            payload that does not fit the type.
    """
    if op < OP_LIMIT:
        of_path = _OF_PATH[op]
        if of_path is not None:
            return of_path(one_string(payload))
        of_payload = _OF_PAYLOAD[op]
        if of_payload is not None:
            return of_payload(payload)
        of_domid = _OF_DOMID[op]
        if of_domid is not None:
            return of_domid(parse_domid(one_string(payload)))
    raise XenStoreError(Errno.ENOSYS, f"message type {op}")


def one_string(payload: bytes) -> bytes:
    """The payload without its last byte, which must be the only NUL."""
    end = payload.find(b"\0")
    if end < 0 or end != len(payload) - 1:
        raise XenStoreError(Errno.EINVAL, "payload is not one string")
    return payload[:end]


def _strings(payload: bytes, least: int, most: int) -> list[bytes]:
    """All strings of the payload, if there are as many as there should be."""
    strings = payload.split(b"\0")
    strings.pop()
    if not least <= len(strings) <= most:
        raise XenStoreError(Errno.EINVAL, f"payload of {len(strings)} strings")
    return strings


def parse_control(payload: bytes) -> Control:
    """Take the payload of CONTROL apart; see `parse_request`."""
    return Control(_strings(payload, 1, _ANY_NUMBER))


def parse_watch(payload: bytes) -> Watch:
    """Take the payload of WATCH apart; see `parse_request`."""
    strings = _strings(payload, 2, 3)
    depth = UNLIMITED
    if len(strings) == 3:
        depth = c_int(strings[2])
        if depth < 0:
            raise XenStoreError(Errno.EINVAL, f"depth of {depth}")
    return Watch(strings[0], strings[1], depth)


def parse_unwatch(payload: bytes) -> Unwatch:
    """Take the payload of UNWATCH apart; see `parse_request`."""
    strings = _strings(payload, 2, 2)
    return Unwatch(strings[0], strings[1])


def _parse_transaction_start(_payload: bytes) -> Request:
    return _TRANSACTION_START


def parse_transaction_end(payload: bytes) -> TransactionEnd:
    """Take the payload of TRANSACTION_END apart; see `parse_request`."""
    if payload == TRUE:
        return _COMMIT
    if payload == FALSE:
        return _DISCARD
    raise XenStoreError(Errno.EINVAL, "payload is neither T nor F")


def parse_introduce(payload: bytes) -> Introduce:
    """Take the payload of INTRODUCE apart; see `parse_request`."""
    strings = _strings(payload, 3, _ANY_NUMBER)
    domid = parse_domid(strings[0])
    port = c_int(strings[2])
    if port <= 0:
        raise XenStoreError(Errno.EINVAL, f"event channel port {port}")
    return Introduce(domid, c_long(strings[1]), port)


def _parse_write(payload: bytes) -> Request:
    end = payload.find(b"\0")
    if end < 0:
        raise XenStoreError(Errno.EINVAL, "path without NUL")
    return Write(payload[:end], payload[end + 1 :])


def parse_set_perms(payload: bytes) -> SetPerms:
    """Take the payload of SET_PERMS apart; see `parse_request`."""
    strings = _strings(payload, 2, _ANY_NUMBER)
    return SetPerms(strings[0], strings[1:])


def parse_set_target(payload: bytes) -> SetTarget:
    """Take the payload of SET_TARGET apart; see `parse_request`."""
    strings = _strings(payload, 2, _ANY_NUMBER)
    return SetTarget(parse_domid(strings[0]), parse_domid(strings[1]))


def _parse_reset_watches(_payload: bytes) -> Request:
    return _RESET_WATCHES


def parse_directory_part(payload: bytes) -> DirectoryPart:
    """Take the payload of DIRECTORY_PART apart; see `parse_request`."""
    strings = _strings(payload, 2, 2)
    return DirectoryPart(strings[0], c_unsigned(strings[1]))


def parse_get_feature(payload: bytes) -> GetFeature:
    """Take the payload of GET_FEATURE apart; see `parse_request`."""
    strings = _strings(payload, 0, 1)
    return GetFeature(parse_domid(strings[0]) if strings else OWN)


def parse_set_feature(payload: bytes) -> SetFeature:
    """Take the payload of SET_FEATURE apart; see `parse_request`."""
    strings = _strings(payload, 2, 2)
    return SetFeature(parse_domid(strings[0]), c_unsigned(strings[1]))


def parse_get_quota(payload: bytes) -> GetQuota:
    """Take the payload of GET_QUOTA apart; see `parse_request`."""
    strings = _strings(payload, 0, 2)
    if not strings:
        return GetQuota(GLOBAL, b"")
    domid = parse_domid(strings[0]) if len(strings) == 2 else GLOBAL
    name = strings[-1]
    if not name:
        raise XenStoreError(Errno.EINVAL, "quota without a name")
    return GetQuota(domid, name)


def parse_set_quota(payload: bytes) -> SetQuota:
    """Take the payload of SET_QUOTA apart; see `parse_request`."""
    strings = _strings(payload, 2, 3)
    domid = parse_domid(strings[0]) if len(strings) == 3 else GLOBAL
    value = c_unsigned(strings[-1])
    # Xen's C daemon means by this value that there is no such quota.
    if value == UINT_MAX:
        raise XenStoreError(Errno.EINVAL, f"quota of {value}")
    return SetQuota(domid, strings[-2], value)


_TRANSACTION_START: Final = TransactionStart()
_RESET_WATCHES: Final = ResetWatches()
_COMMIT: Final = TransactionEnd(commit=True)
_DISCARD: Final = TransactionEnd(commit=False)

# What makes the request of each type: out of the one path or domain id that
# is the payload, or else out of the payload.
_OF_PATH: Final[list[Callable[[bytes], Request] | None]] = [None] * OP_LIMIT
_OF_PATH[Op.DIRECTORY] = Directory
_OF_PATH[Op.READ] = Read
_OF_PATH[Op.GET_PERMS] = GetPerms
_OF_PATH[Op.MKDIR] = Mkdir
_OF_PATH[Op.RM] = Rm

_OF_DOMID: Final[list[Callable[[int], Request] | None]] = [None] * OP_LIMIT
_OF_DOMID[Op.RELEASE] = Release
_OF_DOMID[Op.GET_DOMAIN_PATH] = GetDomainPath
_OF_DOMID[Op.IS_DOMAIN_INTRODUCED] = IsDomainIntroduced
_OF_DOMID[Op.RESUME] = Resume

_OF_PAYLOAD: Final[list[Callable[[bytes], Request] | None]] = [None] * OP_LIMIT
_OF_PAYLOAD[Op.CONTROL] = parse_control
_OF_PAYLOAD[Op.WATCH] = parse_watch
_OF_PAYLOAD[Op.UNWATCH] = parse_unwatch
_OF_PAYLOAD[Op.TRANSACTION_START] = _parse_transaction_start
_OF_PAYLOAD[Op.TRANSACTION_END] = parse_transaction_end
_OF_PAYLOAD[Op.INTRODUCE] = parse_introduce
_OF_PAYLOAD[Op.WRITE] = _parse_write
_OF_PAYLOAD[Op.SET_PERMS] = parse_set_perms
_OF_PAYLOAD[Op.SET_TARGET] = parse_set_target
_OF_PAYLOAD[Op.RESET_WATCHES] = _parse_reset_watches
_OF_PAYLOAD[Op.DIRECTORY_PART] = parse_directory_part
_OF_PAYLOAD[Op.GET_FEATURE] = parse_get_feature
_OF_PAYLOAD[Op.SET_FEATURE] = parse_set_feature
_OF_PAYLOAD[Op.GET_QUOTA] = parse_get_quota
_OF_PAYLOAD[Op.SET_QUOTA] = parse_set_quota
