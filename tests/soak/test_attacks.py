"""What guests attack with does reach what it is meant for."""

from random import Random

import pytest

from tests.engine.support import OK, Client, guest_of, refusal
from tests.soak.attacks import ATTACKS, contended, interleaved, refused_reads
from tests.support.homes import home
from xsd.engine import Engine
from xsd.protocol.errors import Errno
from xsd.protocol.frame import FrameDecoder
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.testing.session import Message


def played(data: bytes) -> list[tuple[Op, Message]]:
    """What a guest asks for, and what it is answered each time."""
    engine = Engine(Store())
    dom0, guest = Client(engine), guest_of(engine)
    for path, entry in (
        (home(guest.connection.caller.domid), b"n%d" % guest.connection.caller.domid),
        (b"/shared", b"b0"),
    ):
        dom0.ok(Op.MKDIR, path + b"\0")
        dom0.ok(Op.SET_PERMS, path + b"\0" + entry + b"\0")
    answered = []
    for frame in FrameDecoder().feed(data):
        messages = guest.ask(frame.op, frame.payload, frame.tx_id)
        (reply,) = [each for each in messages if each[0] != Op.WATCH_EVENT]
        answered.append((Op(frame.op), reply))
    return answered


def test_attacks_at_once_have_transactions_of_their_own() -> None:
    """Each has those that it has opened: all of them end, if not all with success."""
    random = Random(1)  # noqa: S311  nothing secret
    data = interleaved(random, [contended(random) for _ in range(3)])
    ends = [reply for op, reply in played(data) if op == Op.TRANSACTION_END]

    assert ends.count((Op.TRANSACTION_END, OK)) > 1
    assert set(ends) == {(Op.TRANSACTION_END, OK), refusal(Errno.EAGAIN)}


@pytest.mark.parametrize("number", range(len(ATTACKS)))
def test_an_attack_is_not_refused_from_the_beginning(number: int) -> None:
    """Else it would only cost what a refusal costs."""
    attack = ATTACKS[number](Random(1))  # noqa: S311
    answered = played(interleaved(Random(1), [attack]))  # noqa: S311
    refused = [reply[1] for _, reply in answered if reply[0] == Op.ERROR]

    assert len(answered) == len(attack)
    if ATTACKS[number] is not refused_reads:
        assert len(refused) <= len(attack) // 20, set(refused)
