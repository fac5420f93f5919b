"""Requests that nobody should send: right ones with something changed, and noise."""

from collections.abc import Sequence
from random import Random
from typing import Final, final

from xsd.protocol.frame import encode_frame
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.ops import Op
from xsd.testing.session import strings

_PATHS: Final = (
    *(b"/", b"/a", b"/a/b", b"/a/b/c", b"/d/e", b"rel", b"rel/x", b"/tool"),
    *(b"/local/domain/1", b"/local/domain/1/a", b"/local/domain/2/a/b", b"/w"),
    *(b"@introduceDomain", b"@releaseDomain", b"@releaseDomain/1", b"@x"),
)
_NO_PATHS: Final = (
    *(b"", b"//", b"/a/", b"/local/domain/", b"/a//b", b"/a b", b"@", b"@/", b"../a"),
    *(b"/" + b"x" * 3000, b"/x" * 100, b"/\xff", b"/local/domain/1/"),
)
_NUMBERS: Final = (
    *(b"0", b"1", b"1", b"2", b"2", b"7", b"-1", b"", b"x", b"65535", b"65536"),
    *(
        b"32752",
        b"32757",
        b"4294967295",
        b"2147483648",
        b"99999999999999999999",
        b" 1",
        b"1x",
    ),
)
_ENTRIES: Final = (b"n0", b"r1", b"b2", b"w3", b"n1", b"n7", b"r32757", b"x0", b"n")
_QUOTAS: Final = (b"nodes", b"watches", b"transactions", b"soft-memory", b"no")
_PIECES: Final = (b"\0", b"/", b"@", b"//", b"\xff", b"-", b"0", b"\n", b"a" * 300)
_CONTROL: Final = (
    *(b"help\0", b"check\0", b"print\0x\0", b"quota\0", b"quota\x001\0"),
    *(b"quota\0set\0nodes\x00500\0", b"quota-soft\0", b"no\0"),
)


@final
class Fuzzer:
    """An endless supply of requests, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  nothing secret
        self._request_id = 0

    def frames(self, count: int, transactions: Sequence[int]) -> bytes:
        """So many whole frames."""
        return b"".join([self._frame(transactions) for _ in range(count)])

    def noise(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def chance(self, per_cent: int) -> bool:
        return self._random.randrange(100) < per_cent

    def below(self, limit: int) -> int:
        return self._random.randrange(limit)

    def _frame(self, transactions: Sequence[int]) -> bytes:
        random = self._random
        self._request_id += 1
        op: int = random.choice(_OPS)
        payload = self._payload(op)
        roll = random.randrange(100)
        if roll < 20:
            payload = self._mutated(payload)
        elif roll < 23:
            payload = random.randbytes(random.randrange(64))
        elif roll < 25:
            op = random.choice((15, 16, 20, 27, 255, random.getrandbits(32)))
        elif roll < 30:
            op = random.choice(_OPS)
        roll = random.randrange(100)
        tx = random.choice(transactions) if transactions and roll < 40 else 0
        if op == Op.TRANSACTION_START or roll == 40:
            tx = 0
        elif roll >= 98:
            tx = random.getrandbits(32)
        return encode_frame(op, self._request_id, tx, payload[:PAYLOAD_MAX])

    def _payload(self, op: int) -> bytes:
        random = self._random
        if op in _OF_PATH:
            return self._path() + b"\0" + self._after_path(op)
        if op == Op.TRANSACTION_END:
            return random.choice((b"T\0", b"F\0", b"T\0", b"X\0"))
        if op == Op.CONTROL:
            return random.choice(_CONTROL)
        if op == Op.INTRODUCE:
            return random.choice((b"1", b"2", self._number())) + b"\x001\x005\0"
        if op in (Op.GET_QUOTA, Op.SET_QUOTA):
            parts = [random.choice(_QUOTAS), self._number()]
            if random.randrange(2):
                parts.insert(0, self._number())
            return strings(*parts)
        count = 2 if op in (Op.SET_TARGET, Op.SET_FEATURE) else 1
        if op == Op.GET_FEATURE:
            count = random.randrange(2)
        return strings(*[self._number() for _ in range(count)])

    def _after_path(self, op: int) -> bytes:
        random = self._random
        if op == Op.WRITE:
            return random.randbytes(random.choice((0, 1, 10, 10, 500)))
        if op in (Op.WATCH, Op.UNWATCH):
            depth = self._number() + b"\0" if random.randrange(8) == 0 else b""
            return b"%d\0" % random.randrange(8) + depth
        if op == Op.SET_PERMS:
            return strings(*random.choices(_ENTRIES, k=random.randrange(1, 4)))
        if op == Op.DIRECTORY_PART:
            return self._number() + b"\0"
        return b""

    def _path(self) -> bytes:
        random = self._random
        return random.choice(_NO_PATHS if random.randrange(12) == 0 else _PATHS)

    def _number(self) -> bytes:
        return self._random.choice(_NUMBERS)

    def _mutated(self, payload: bytes) -> bytes:
        random = self._random
        at = random.randrange(len(payload) + 1)
        kind = random.randrange(5)
        if kind == 0:
            return payload[:at]
        if kind == 1:
            return payload[:at] + random.choice(_PIECES) + payload[at:]
        if kind == 2:
            return payload[:at] + random.randbytes(1) + payload[at + 1 :]
        if kind == 3:
            return payload[:at] + payload[at + 1 + random.randrange(4) :]
        return payload + payload[at:]


_OPS: Final = tuple(op for op in Op if op not in (Op.WATCH_EVENT, Op.ERROR))
_OF_PATH: Final = (
    *(Op.DIRECTORY, Op.READ, Op.GET_PERMS, Op.WATCH, Op.UNWATCH, Op.WRITE, Op.MKDIR),
    *(Op.RM, Op.SET_PERMS, Op.DIRECTORY_PART),
)
