"""xsd.engine.outside: what the world answers is kept, and answered again."""

from collections.abc import Callable

import pytest

from tests.engine.played import Failing, Played
from xsd.engine import Connection
from xsd.engine.guests import Guests
from xsd.engine.outside import FAILED, NO_DOMAIN, Outside
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.perms import Caller
from xsd.store import Store
from xsd.store.usage import Usage

DOMAIN = Store().known(0)
CONNECTION = Connection(1, Caller(5, privileged=False), Usage(), [])
REFUSED = XenStoreError(Errno.EACCES, "no")

Ask = Callable[[Guests], object]


ASKS: dict[str, Ask] = {
    "which domain it is": lambda guests: guests.unique_id(5),
    "connect": lambda guests: guests.connect(DOMAIN, 7, CONNECTION),
    "reconnect": lambda guests: guests.reconnect(DOMAIN, 8),
}


def outcome(ask: Ask, guests: Guests) -> object:
    """What comes of it: an answer, or the errno that a client is told."""
    try:
        return ask(guests)
    except XenStoreError as error:
        return error.errno
    except ZeroDivisionError:
        return Errno.EIO


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize("how", ["", "none", REFUSED, ZeroDivisionError()], ids=str)
def test_an_answer_is_kept_and_given_again(ask: Ask, how: str | Exception) -> None:
    """Refusals and defects as well; then nothing outside is touched."""
    played = Played()
    if how == "none":
        played.lenient = True
        played.there = {}
    elif isinstance(how, Exception):
        played.error = how
    outside = Outside(played)
    first = outcome(ask, outside)
    answers = outside.take()
    assert (len(answers), outside.take()) == (1, ())

    calls = list(played.calls)
    played.error, played.there, played.lenient = AssertionError(), {5: 999}, False
    outside.replay(answers)
    assert outcome(ask, outside) == first
    outside.disconnect(DOMAIN)
    assert outside.end_replay() == 0
    assert (played.calls, outside.take()) == (calls, ())


def test_a_hypervisor_that_fails_is_remembered() -> None:
    """Its defect is the same in a replay: EIO."""
    outside = Outside(Failing(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        outside.unique_id(5)
    assert outside.take() == (FAILED,)
    outside.replay((FAILED,))
    with pytest.raises(XenStoreError) as caught:
        outside.unique_id(5)
    assert caught.value.errno is Errno.EIO


def test_answers_that_nobody_asks_for_are_counted() -> None:
    """And whoever asks for more than there are is told that there is nothing."""
    outside = Outside(Played())
    outside.replay((105, NO_DOMAIN))
    assert outside.unique_id(5) == 105
    assert outside.end_replay() == 1
    outside.replay(())
    assert outside.unique_id(5) is None
    assert not outside.connect(DOMAIN, 7, CONNECTION)
    outside.end_replay()
    assert outside.unique_id(5) == 105
