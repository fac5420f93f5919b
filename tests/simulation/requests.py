"""What clients ask for: sensible requests of toolstacks and guests, on few paths."""

from random import Random
from typing import Final

from xsd.protocol.ops import Op

Ask = tuple[int, bytes]
"""Type and payload of a request."""

GUESTS: Final = (1, 2, 3, 4)
"""Ids that domains have, one after the other."""

NAMES: Final = (b"a", b"b", b"c", b"state")
_MODES: Final = b"nrwb"
_QUOTAS: Final = {
    b"nodes": (0, 3, 20, 60, 1000),
    b"watches": (0, 1, 5, 128),
    b"transactions": (0, 1, 2, 10),
    b"transaction-nodes": (0, 4, 20, 1024),
    b"node-permissions": (0, 1, 3, 5),
    b"node-size": (0, 60, 300, 2048),
    b"path-max": (0, 40, 2048),
    b"memory": (0, 4000, 20_000, 2_621_440),
    b"soft-memory": (0, 3000),
    b"outstanding": (0, 1, 3, 20),
}


def home_of(domid: int) -> bytes:
    """Where a domain's relative paths begin."""
    return b"/local/domain/%d" % domid


def path(random: Random, domid: int) -> bytes:
    """A path: one's own, relative or not, a common one, or another's."""
    below = b"/".join([random.choice(NAMES) for _ in range(random.randrange(1, 4))])
    roll = random.randrange(10)
    if roll < 3:
        return below
    if roll < 5:
        return b"%s/%s" % (home_of(domid), below)
    if roll < 8:
        return b"/shared/" + below
    if roll == 8:
        return b"%s/%s" % (home_of(random.choice(GUESTS)), below)
    return random.choice((b"/", b"/shared", b"/tool", home_of(domid), b"/missing/x"))


def watched(random: Random, domid: int) -> bytes:
    """A path to watch."""
    if random.randrange(4) == 0:
        name = random.choice((b"@releaseDomain", b"@introduceDomain"))
        return name + random.choice((b"", b"", b"/%d" % random.choice(GUESTS)))
    return path(random, domid)


def permissions(random: Random) -> bytes:
    """A list of permissions."""
    entries = [
        b"%c%d\0" % (random.choice(_MODES), random.choice((0, *GUESTS, 9, 0x7FF5)))
        for _ in range(random.randrange(1, 4))
    ]
    return b"".join(entries)


def value(random: Random) -> bytes:
    """A value."""
    return random.randbytes(random.choice((0, 1, 1, 4, 4, 20, 200)))


def setting(random: Random) -> tuple[bytes, int]:
    """Name of a quota and a limit."""
    name = random.choice(list(_QUOTAS))
    return name, random.choice(_QUOTAS[name])


_CHANGES: Final = (*[Op.WRITE] * 30, *[Op.MKDIR] * 8, *[Op.RM] * 10)
_LOOKS: Final = (*[Op.READ] * 10, *[Op.DIRECTORY] * 4, *[Op.GET_PERMS] * 3)
_ORDINARY: Final = (
    *_CHANGES,
    *_LOOKS,
    *[Op.SET_PERMS] * 8,
    *[Op.DIRECTORY_PART] * 2,
    *[Op.WATCH] * 12,
    *[Op.UNWATCH] * 9,
    *(Op.GET_DOMAIN_PATH, Op.GET_FEATURE),
)


def ordinary(random: Random, domid: int) -> Ask:
    """What anybody asks for."""
    op = random.choice(_ORDINARY)
    if op == Op.GET_FEATURE:
        return (op, b"") if random.randrange(4) else (Op.RESET_WATCHES, b"\0")
    if op == Op.GET_DOMAIN_PATH:
        return op, b"%d\0" % domid
    if op in (Op.WATCH, Op.UNWATCH):
        payload = b"%s\0%d\0" % (watched(random, domid), random.randrange(3))
        if op == Op.WATCH and random.randrange(5) == 0:
            payload += b"%d\0" % random.randrange(3)
        return op, payload
    return op, path(random, domid) + b"\0" + _rest(random, op)


def _rest(random: Random, op: int) -> bytes:
    """What stands behind the path."""
    if op == Op.WRITE:
        return value(random)
    if op == Op.SET_PERMS:
        return permissions(random)
    return b"%d\0" % random.randrange(12) if op == Op.DIRECTORY_PART else b""


_PRIVILEGED: Final = (
    *[Op.SET_PERMS] * 30,
    *[Op.INTRODUCE] * 20,
    *[Op.RELEASE] * 8,
    *[Op.SET_TARGET] * 8,
    *[Op.RESUME] * 6,
    *[Op.SET_QUOTA] * 8,
    *[Op.SET_FEATURE] * 6,
    *[Op.IS_DOMAIN_INTRODUCED] * 4,
    *[Op.CONTROL] * 10,
)
_CONTROL: Final = (
    b"check\0",
    b"quota\0",
    b"quota\0max\0-r\0",
    b"quota\0set\0nodes\x0030\0",
    b"quota-soft\0set\0memory\x005000\0",
    b"quota\x001\0",
)


def privileged(random: Random) -> Ask:
    """What toolstacks ask for beside."""
    op = random.choice(_PRIVILEGED)
    domid = random.choice((*GUESTS, 9))
    payload = b"%d\0" % domid
    if op == Op.SET_PERMS:
        payload = home_of(domid) + b"\0" + permissions(random)
    elif op == Op.INTRODUCE:
        payload += b"1\0%d\0" % random.randrange(1, 9)
    elif op == Op.SET_TARGET:
        payload += b"%d\0" % random.choice(GUESTS)
    elif op == Op.SET_FEATURE:
        payload += b"%d\0" % random.randrange(17)
    elif op == Op.SET_QUOTA:
        name, limit = setting(random)
        payload = payload if random.randrange(2) else b""
        payload += b"%s\0%d\0" % (name, limit)
    elif op == Op.CONTROL:
        payload = random.choice(_CONTROL)
    return op, payload


_GREEDY: Final = (
    *[Op.WRITE] * 11,
    *[Op.WATCH] * 4,
    *(Op.MKDIR, Op.RM, Op.DIRECTORY, Op.READ, Op.GET_PERMS, Op.GET_PERMS),
)


def greedy(random: Random, domid: int) -> Ask:
    """What runs into quotas: deep and wide paths, many watches, large values."""
    op = random.choice(_GREEDY)
    number = random.randrange(60)
    payload = b"wide/%d\0" % number
    if op == Op.WRITE:
        payload += random.randbytes(number * 8)
    elif op == Op.MKDIR:
        payload = b"deep%s\0" % (b"/x" * random.choice((1, 50, 300, 900)))
    elif op == Op.WATCH:
        payload += b"w%d\0" % number
    elif op in (Op.RM, Op.DIRECTORY):
        payload = random.choice((b"deep\0", b"wide\0", b"deep/x/x\0"))
    elif op == Op.READ:
        payload = b"missing/%s\0" % (b"%d" % number * random.choice((1, 900)))
    else:
        return ordinary(random, domid)
    return op, payload
