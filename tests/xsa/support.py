"""Guests of an engine without a transport, one of which behaves well."""

import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, final

import pytest

from tests.engine.support import Client, guest_of
from xsd.engine import Engine
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.store.check import verify

BYSTANDER: Final = 7
"""The domain that behaves well; hostile ones have other ids."""


def home(domid: int) -> bytes:
    """The home of a domain."""
    return b"/local/domain/%d" % domid


def message_of(length: int, op: int = Op.READ) -> bytes:
    """A header that announces so many bytes, and some of them."""
    return struct.pack("=IIII", op, 1, 0, length) + b"x" * min(length, 64)


def refusal_of(request: Callable[..., object], *arguments: object) -> Errno:
    """Make a request that is refused, and tell the errno."""
    with pytest.raises(XenStoreError) as caught:
        request(*arguments)
    return caught.value.errno


def guest_at_home(engine: Engine, domid: int) -> Client:
    """A client in a guest, which has a home that it owns."""
    guest = guest_of(engine, domid)
    dom0 = Client(engine)
    dom0.ok(Op.MKDIR, home(domid) + b"\0")
    dom0.ok(Op.SET_PERMS, home(domid) + b"\0n%d\0" % domid)
    engine.disconnect(dom0.connection)
    return guest


@final
class Bystander:
    """A guest that uses its home as guests do."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._guest = guest_at_home(engine, BYSTANDER)
        self._count = 0
        assert self.is_served()

    def is_served(self) -> bool:
        """Write and read; tells whether this works and the store is consistent."""
        self._count += 1
        value = b"%d" % self._count
        self._guest.ok(Op.WRITE, b"data\0" + value)
        read = self._guest.reply(Op.READ, b"data\0")
        return read == (Op.READ, value) and verify(self._engine.store) == []


@final
class Counts:
    """What a store holds of everything that guests can make more of.

    Two of them are equal if nothing is left over in between.
    """

    def __init__(self, store: Store) -> None:
        self._found = (
            store.usage.nodes.used.copy(),
            store.usage.watches.used.copy(),
            store.usage.transactions.used.copy(),
            store.watches.count,
            store.watches.spots(),
            [domain.domid for domain in store.domains.all()],
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counts) and self._found == other._found

    def __hash__(self) -> int:
        return hash(repr(self._found))

    def __repr__(self) -> str:
        return f"Counts{self._found}"


@contextmanager
def shallow_stack(frames: int = 60) -> Iterator[None]:
    """Leave room for only so many more nested calls."""
    depth = 0
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        depth += 1
        frame = frame.f_back
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + frames)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
