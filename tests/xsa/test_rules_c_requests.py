"""Rules that concern every request: one reply each, in turn, with bytes as bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.support.hosts import Host, frames
from tests.xsa.support import World, busily, home
from xsd.engine import dispatch
from xsd.protocol.errors import Errno
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.store.quota import DEFAULTS, NODES, WATCHES
from xsd.testing import Session
from xsd.testing.session import OK, event
from xsd.transport.ringlink import RingLink

ALL_BYTES: Final = bytes(range(256))

NOT_NUL: Final = bytes(range(1, 256))

DEFECTS: Final = [
    KeyError("missing"),
    ValueError("wrong"),
    AssertionError(),
    RecursionError(),
    MemoryError(),
    UnicodeDecodeError("ascii", b"\xff", 0, 1, "not ascii"),
    OSError(5, "broken"),
]
"""What a defect of ours might raise anywhere."""


# 1. One reply for each request, whatever happens.


def raising(error: Exception) -> Callable[..., None]:
    """Something that fails."""

    def fail(*_: object) -> None:
        raise error

    return fail


@contextmanager
def defect(error: Exception) -> Iterator[None]:
    """Have all requests for GET_DOMAIN_PATH meet it meanwhile."""
    entry = dispatch._TABLE[Op.GET_DOMAIN_PATH]
    assert entry is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entry, "handler", raising(error))
        yield


@pytest.mark.pure_only
@pytest.mark.parametrize("error", DEFECTS, ids=lambda error: type(error).__name__)
def test_a_defect_becomes_one_reply_and_one_line_in_the_log(
    world: World, hostile: Session, error: Exception
) -> None:
    """EIO; the line says which request of which domain it was."""
    world.xenstore.take_notices()
    with defect(error):
        hostile.post(Op.WRITE, b"data\0value")
        hostile.post(Op.GET_DOMAIN_PATH, b"1\0")
        hostile.post(Op.READ, b"data\0")

    assert hostile.take() == [(Op.WRITE, OK), (Op.ERROR, b"EIO\0"), (Op.READ, b"value")]
    (notice,) = world.notices("error")
    assert notice.error is error
    assert notice.event == "request.failed"
    assert notice.fields["domid"] == 1
    assert notice.fields["request"] == "GET_DOMAIN_PATH"
    assert notice.fields["request_id"] == 2


@pytest.mark.pure_only
@pytest.mark.parametrize("op", [Op.WRITE, Op.WATCH])
def test_a_defect_in_telling_others_is_no_second_reply(
    world: World, hostile: Session, monkeypatch: pytest.MonkeyPatch, op: int
) -> None:
    """Before the reply it becomes EIO, after it is only logged."""
    hostile.ok(Op.WATCH, b"/\0t\0")
    with monkeypatch.context() as patch:
        for module in ("handlers", "dispatch"):
            name = f"xsd.engine.{module}.deliver"
            patch.setattr(name, raising(KeyError("missing")))
        messages = hostile.ask(op, b"data\0value\0")

    assert messages == [(op, OK) if op == Op.WATCH else (Op.ERROR, b"EIO\0")]
    assert len(world.notices("error")) == 1
    assert hostile.reply(Op.GET_DOMAIN_PATH, b"1\0")[1] == home(1) + b"\0"


@pytest.mark.pure_only
def test_a_defect_does_not_reach_the_loop(host: Host) -> None:
    """On a ring and on the socket the next request is answered."""
    with defect(KeyError("missing")):
        for client in (host.guest(1), host.client()):
            for _ in range(3):
                with pytest.raises(Exception, match="EIO"):
                    client.get_domain_path(0)
            client.write(home(1), b"value")
            assert client.read(home(1)) == b"value"
    assert host.is_served()
    defects = [notice for notice in host.notices if notice.level == "error"]
    assert len(defects) == 6
    host.notices.clear()


# 2. Nobody uses up the daemon's time.


def test_a_ring_that_is_always_full_leaves_others_their_turn(host: Host) -> None:
    """A guest sends and reads as fast as it can; others are served meanwhile."""
    guest = host.guest(1)
    answered = []

    def flood() -> None:
        guest.send_bytes(encode_frame(Op.READ, 1, 0, b"/\0") * 50)
        answered.append(len(frames(guest, 50)))

    with busily(flood):
        assert [host.is_served() for _ in range(50)] == [True] * 50
    assert answered


@pytest.mark.pure_only
def test_a_ring_that_fills_itself_is_left_after_each_look(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if there is a request in it whenever the daemon looks, for some time."""
    guest = host.guest(1)
    link = host.link_of(guest)
    ring, on_input = link._ring, RingLink.on_input
    looks: list[int] = [0]

    def visit(each: RingLink) -> None:
        looks.append(0)
        on_input(each)

    class Endless:
        def __getattr__(self, name: str) -> object:
            return getattr(ring, name)

        def read_requests(self, limit: int) -> bytes:
            looks[-1] += 1
            request = encode_frame(Op.READ, 1, 0, b"/\0")
            return request if sum(looks) < 200 else ring.read_requests(limit)

        def write_responses(self, data: bytes) -> int:
            return len(data)

    host.run(lambda: monkeypatch.setattr(link, "_ring", Endless()))
    host.run(lambda: monkeypatch.setattr(RingLink, "on_input", visit))
    guest.notify()
    assert host.is_served()
    host.until(lambda: sum(looks) >= 200)
    host.run(monkeypatch.undo)

    assert host.is_served()
    assert max(looks) == 1


@pytest.mark.slow
def test_the_largest_commit_of_a_guest_ends(hostile: Session) -> None:
    """Nearly as many nodes as it may have, each told to as many watches."""
    for number in range(DEFAULTS[WATCHES]):
        hostile.ok(Op.WATCH, home(1) + b"\0%d\0" % number)
    transaction = hostile.start()
    for number in range(DEFAULTS[NODES] - 40):
        hostile.ok(Op.MKDIR, b"%d/%d\0" % (number // 30, number), transaction)
    hostile.post(Op.TRANSACTION_END, b"T\0", transaction)

    assert hostile.take()[-1] == (Op.TRANSACTION_END, OK)


# 9. Values and tokens are bytes that mean nothing.


def test_values_may_hold_any_byte(dom0: Session, hostile: Session) -> None:
    """NUL included; they come back as they were written."""
    for number in (0, hostile.start()):
        hostile.ok(Op.WRITE, b"data\0" + ALL_BYTES, number)
        assert hostile.reply(Op.READ, b"data\0", number) == (Op.READ, ALL_BYTES)
    assert dom0.reply(Op.READ, home(1) + b"/data\0") == (Op.READ, ALL_BYTES)


@pytest.mark.parametrize(
    "token", [NOT_NUL, b"", b"\xff\xfe", b"\n", b"\x1b[2J", b"/../", b"%s%n"]
)
def test_tokens_may_hold_any_byte_but_nul(
    dom0: Session, hostile: Session, token: bytes
) -> None:
    """They come back with each event, and are told apart byte by byte."""
    hostile.ok(Op.WATCH, b"data\0" + token + b"\0")
    assert hostile.refused(Op.WATCH, b"data\0" + token + b"\0") == Errno.EEXIST
    hostile.ok(Op.WATCH, b"data\0" + token + b"x\0")
    dom0.ok(Op.WRITE, home(1) + b"/data\0value")

    assert hostile.take() == [event(b"data", token), event(b"data", token + b"x")]
    hostile.ok(Op.UNWATCH, b"data\0" + token + b"\0")
