"""xsd.engine.update: the steps of an update, as xenstore-control takes them."""

from typing import final

import pytest

from xsd.engine import Engine
from xsd.engine.connection import Connection
from xsd.engine.plan import Plan, Updater
from xsd.engine.update import REASON_MAX, answer_later
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store

BUSY = "live-update session already active."
NO_SESSION = "Not in live-update session."


@final
class Noted(Updater):
    """Begins nothing, and notes what it was asked for."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.cancelled = 0

    def fault(self, file: bytes) -> str:
        return "" if file == b"/good" else "File not accessible."

    def begin(self, plan: Plan) -> None:
        self.plans.append(plan)

    def cancel(self) -> None:
        self.cancelled += 1


@final
class Place:
    """An engine with two clients of dom0's."""

    def __init__(self) -> None:
        self.updater = Noted()
        self.engine = Engine(Store())
        self.engine.update_by(self.updater)
        self.first, self.second = self.engine.connect(0), self.engine.connect(0)

    def asked(self, whose: Connection, *words: str) -> list[str]:
        """What comes after a step: texts, or names of errors."""
        text = "".join(f"{word}\0" for word in ("live-update", *words))
        self.engine.feed(whose, encode_frame(Op.CONTROL, 1, 0, text.encode()))
        while self.engine.busy:
            self.engine.turn(0)
        return [frame.payload[:-1].decode() for frame in self.sent(whose)]

    def sent(self, whose: Connection) -> list[Frame]:
        data = bytes(whose.outbox.peek())
        self.engine.sent(whose, len(data))
        return FrameDecoder().feed(data)


@pytest.fixture
def place() -> Place:
    return Place()


def test_an_update_is_begun_with_what_the_steps_have_said(place: Place) -> None:
    """The last of them is answered later."""
    assert place.asked(place.first, "-f", "/good") == ["OK"]
    assert place.asked(place.first, "-c", "-N -U") == ["OK"]
    assert place.asked(place.first, "-s", "-t", "9", "-F", "-v", "2") == []

    (plan,) = place.updater.plans
    assert (plan.file, plan.arguments) == (b"/good", b"-N -U")
    assert (plan.timeout_s, plan.force, plan.version) == (9, True, 2)
    assert plan.begun


def test_an_update_that_fails_answers_the_last_step(place: Place) -> None:
    """With the reason; another one can be begun then."""
    place.asked(place.first, "-f", "/good")
    place.asked(place.first, "-s")

    answer_later(place.engine.core, place.first.id, "x" * 2 * REASON_MAX)

    (reply,) = place.sent(place.first)
    assert reply.payload == b"x" * REASON_MAX + b"\0"
    assert place.asked(place.second, "-f", "/good") == ["OK"]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("-x",),
        ("-f",),
        ("-f", "/good", "/good"),
        ("-c",),
        ("-a", "now"),
    ],
)
def test_a_step_that_is_none_is_refused(place: Place, words: tuple[str, ...]) -> None:
    """EINVAL, as everything that CONTROL does not know."""
    assert place.asked(place.first, *words) == ["EINVAL"]


@pytest.mark.parametrize("words", [("-t",), ("-v", "3"), ("-v", "0"), ("-x",)])
def test_an_option_that_is_none_is_refused(
    place: Place, words: tuple[str, ...]
) -> None:
    """Nothing is begun."""
    place.asked(place.first, "-f", "/good")

    assert place.asked(place.first, "-s", *words) == ["EINVAL"]
    assert place.updater.plans == []


def test_steps_need_a_session_of_ones_own(place: Place) -> None:
    """It begins with the file, and there is one at a time."""
    assert place.asked(place.first, "-f", "/bad") == ["File not accessible."]
    assert place.asked(place.first, "-s") == [NO_SESSION]
    assert place.asked(place.first, "-a") == ["No live-update session active."]
    place.asked(place.first, "-f", "/good")
    assert place.asked(place.second, "-f", "/good") == [BUSY]
    assert place.asked(place.second, "-c", "x") == [NO_SESSION]
    assert place.asked(place.second, "-a") == ["No live-update session active."]


def test_what_is_under_way_can_be_called_off_and_nothing_else(place: Place) -> None:
    """The step that waits is answered first."""
    place.asked(place.first, "-f", "/good")
    place.asked(place.first, "-s")

    for words in (("-s",), ("-c", "x"), ("-f", "/good")):
        assert place.asked(place.first, *words) == [BUSY]
    assert place.asked(place.first, "-a") == [NO_SESSION, "OK"]
    assert (len(place.updater.plans), place.updater.cancelled) == (1, 1)


def test_an_update_ends_with_who_has_asked_for_it(place: Place) -> None:
    """Nobody would learn what came of it."""
    place.asked(place.first, "-f", "/good")
    place.asked(place.first, "-s")

    place.engine.disconnect(place.first)

    assert place.updater.cancelled == 1
    assert place.asked(place.second, "-f", "/good") == ["OK"]


def test_who_has_asked_oxenstored_is_told_that_it_is_done(place: Place) -> None:
    """It asks again each second, whether or not another daemon answers; once."""
    place.engine.core.asked_again = True

    assert place.asked(place.first, "-s", "-t", "9") == ["OK"]
    assert place.asked(place.first, "-s", "-t", "9") == [NO_SESSION]


@pytest.mark.parametrize("domid", [0, 5])
@pytest.mark.parametrize("leaves", [True, False])
def test_transactions_are_begun_later_while_those_that_are_open_are_waited_for(
    domid: int, *, leaves: bool
) -> None:
    """By who has none; all else goes on, and they do when there is no update."""
    place = Place()
    core = place.engine.core
    open_one, new_one = place.second, place.engine.connect(domid)

    def asked(whose: Connection, op: int, payload: bytes = b"\0") -> list[bytes]:
        place.engine.feed(whose, encode_frame(op, 1, 0, payload))
        for now_ms in range(1000):
            place.engine.turn(now_ms)
        return [frame.payload for frame in place.sent(whose)]

    assert asked(open_one, Op.TRANSACTION_START) == [b"1\0"]
    place.asked(place.first, "-f", "/good")
    place.asked(place.first, "-s", "-t", "5")
    assert core.plan is not None
    core.plan.drains = True

    assert asked(open_one, Op.TRANSACTION_START) == [b"2\0"]
    assert asked(open_one, Op.GET_DOMAIN_PATH, b"0\0") != []
    assert asked(new_one, Op.TRANSACTION_START) == []
    assert asked(new_one, Op.GET_DOMAIN_PATH, b"0\0") == []
    if leaves:
        place.engine.disconnect(place.first)
    else:
        answer_later(core, place.first.id, "no")

    while place.engine.busy:
        place.engine.turn(2000)
    assert [frame.op for frame in place.sent(new_one)] == [
        Op.TRANSACTION_START,
        Op.GET_DOMAIN_PATH,
    ]
