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


def ordinary(random: Random, domid: int) -> Ask:
    """What anybody asks for."""
    roll = random.randrange(100)
    at = path(random, domid) + b"\0"
    if roll < 30:
        return Op.WRITE, at + value(random)
    if roll < 38:
        return Op.MKDIR, at
    if roll < 48:
        return Op.RM, at
    if roll < 56:
        return Op.SET_PERMS, at + permissions(random)
    if roll < 66:
        return Op.READ, at
    if roll < 70:
        return Op.DIRECTORY, at
    if roll < 73:
        return Op.GET_PERMS, at
    if roll < 75:
        return Op.DIRECTORY_PART, at + b"%d\0" % random.randrange(12)
    token = b"%d\0" % random.randrange(3)
    if roll < 87:
        depth = b"%d\0" % random.randrange(3) if random.randrange(5) == 0 else b""
        return Op.WATCH, watched(random, domid) + b"\0" + token + depth
    if roll < 96:
        return Op.UNWATCH, watched(random, domid) + b"\0" + token
    if roll < 97:
        return Op.RESET_WATCHES, b"\0"
    if roll < 98:
        return Op.GET_DOMAIN_PATH, b"%d\0" % domid
    return Op.GET_FEATURE, b""


def privileged(random: Random) -> Ask:
    """What toolstacks ask for beside."""
    domid = random.choice((*GUESTS, 9))
    roll = random.randrange(100)
    if roll < 30:
        return Op.SET_PERMS, home_of(domid) + b"\0" + permissions(random)
    if roll < 50:
        return Op.INTRODUCE, b"%d\x001\0%d\0" % (domid, random.randrange(1, 9))
    if roll < 58:
        return Op.RELEASE, b"%d\0" % domid
    if roll < 66:
        return Op.SET_TARGET, b"%d\0%d\0" % (domid, random.choice(GUESTS))
    if roll < 72:
        return Op.RESUME, b"%d\0" % domid
    if roll < 80:
        name, limit = setting(random)
        whom = b"%d\0" % domid if random.randrange(2) else b""
        return Op.SET_QUOTA, whom + b"%s\0%d\0" % (name, limit)
    if roll < 86:
        return Op.SET_FEATURE, b"%d\0%d\0" % (domid, random.randrange(17))
    if roll < 90:
        return Op.IS_DOMAIN_INTRODUCED, b"%d\0" % domid
    return Op.CONTROL, random.choice(
        (
            b"check\0",
            b"quota\0",
            b"quota\0max\0-r\0",
            b"quota\0set\0nodes\x0030\0",
            b"quota-soft\0set\0memory\x005000\0",
            b"quota\0%d\0" % domid,
        )
    )


def greedy(random: Random, domid: int) -> Ask:
    """What runs into quotas: deep and wide paths, many watches, large values."""
    roll = random.randrange(100)
    number = random.randrange(60)
    if roll < 20:
        deep = b"/x" * random.choice((1, 50, 300, 900))
        return Op.WRITE, b"deep%s\0v" % deep
    if roll < 24:
        return Op.RM, random.choice((b"deep\0", b"wide\0", b"deep/x/x\0"))
    if roll < 60:
        return Op.WRITE, b"wide/%d\0" % number + random.randbytes(number * 8)
    if roll < 80:
        return Op.WATCH, b"wide/%d\0w%d\0" % (number, number)
    if roll < 84:
        return Op.DIRECTORY, b"wide\0"
    if roll < 88:
        return Op.READ, b"missing/%s\0" % (b"%d" % number * random.choice((1, 900)))
    return ordinary(random, domid)
