"""xsd.engine.guests: INTRODUCE and RELEASE with channels that may fail."""

import pytest

from tests.engine.played import Played
from tests.engine.script import Verb, play
from tests.engine.support import Client, event
from xsd.engine import Engine
from xsd.engine.guests import NoGuests
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op

REFUSAL = XenStoreError(Errno.EINVAL, "no page")
DEFECT = ZeroDivisionError("a defect")


@pytest.fixture
def guests(engine: Engine) -> Played:
    """Domain 5 is there."""
    guests = Played()
    engine.attach(guests)
    return guests


# `calls` are what the engine asked for, `there` is who exists with which unique id.
RULES = {
    "INTRODUCE connects, again reconnects, and RELEASE disconnects": """
        introduce 5 1 7; introduce 5 1 8; release 5
        calls -> connect,5,7 reconnect,5,8 disconnect,5,0
    """,
    # One that the hypervisor does not have.
    "a domain without a channel may be introduced, and no connection is left": """
        lenient; introduce 5 1 7; port -> 7; connections -> 1
    """,
    "a channel that cannot be given back keeps no domain; the log has the defect": """
        introduce 5 1 7; log -> -; defect; release 5
        known -> 0; log -> channel.not_closed
    """,
    # The toolstack makes its home ready first; one that is not there has none.
    "a domain has rights before it is introduced": """
        node /home n5; perms /home n6 -> ENOENT; calls -> -
    """,
    "a failed introduction leaves earlier rights alone": """
        node /home n5; refuse EINVAL; introduce 5 1 7 -> EINVAL
        known -> 0 5; get_perms /home -> n5,
    """,
    # Even if nobody has told yet that the first one is gone (XSA-322).
    "another domain of the same id inherits nothing": """
        introduce 5 1 7; node /of5 n5; node /for5 n0 r5; there 5 205
        introduce 5 1 9; read /of5 -> ENOENT; get_perms /for5 -> n0,; unique_id -> 205
    """,
    # It is gone all the same, and so is what it owned.
    "end is told even if the next domain cannot be connected": """
        introduce 5 1 7; node /of5 n5; watch /of5 t -> OK /of5:t
        watch @releaseDomain t -> OK @releaseDomain:t
        there 5 205; refuse EINVAL; introduce 5 1 9 -> /of5:t @releaseDomain:t EINVAL
        release 5 -> ENOENT
    """,
    # Whoever introduces it again does not bring it back, nor end it.
    "domain that is dying is not taken for another one": """
        introduce 5 1 7; watch @releaseDomain t -> OK @releaseDomain:t
        not_there 5; introduce 5 1 7; calls -> connect,5,7 reconnect,5,7
    """,
    "own domain has no channel to be connected, only one to be begun anew": """
        there 0 100; introduce 0 1 9; release 0 -> EINVAL; calls -> reconnect,0,9
    """,
    "end of a domain disconnects it, unless it was never introduced": """
        there 6 106; introduce 5 1 7; node /a n6; gone 5 6
        calls -> connect,5,7 disconnect,5,0; known -> 0
    """,
    # Of a known one all that it owns stays, of an unknown one nothing is kept.
    "a waiting domain that cannot be connected is left as it was": """
        node /home n5; there 6 106; refuse EINVAL; found 5 6
        get_perms /home -> n5,; known -> 0 5; calls -> -
    """,
    "a waiting domain is connected once": """
        found 5; found 5; calls -> connect,5,0; log -> domain.found
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_guests(engine: Engine, guests: Played, rule: str) -> None:
    """Each rule as the script that shows it."""
    store = engine.store
    verbs: dict[str, Verb] = {
        **guests.verbs(),
        "unique_id": lambda *_: str(store.known(5).unique_id),
        "port": lambda *_: str(store.introduced(5).port),
    }
    play(engine, RULES[rule], verbs)


def test_a_channel_is_a_connection_that_ends_with_its_domain(
    engine: Engine, dom0: Client, guests: Played
) -> None:
    """The engine makes it, and has dropped it when the channel is given back."""
    dom0.ok(Op.INTRODUCE, b"5\x001\x007\0")
    channel = guests.links[5]
    assert engine.connections == [dom0.connection, channel]
    assert channel.is_channel
    engine.take_dirty()
    dom0.ok(Op.RELEASE, b"5\0")

    assert engine.connections == [dom0.connection]
    assert engine.take_dirty() == [dom0.connection]


@pytest.mark.parametrize(
    ("error", "errno"), [(REFUSAL, Errno.EINVAL), (DEFECT, Errno.EIO)], ids=str
)
def test_a_domain_that_cannot_be_connected_is_not_introduced(
    engine: Engine, dom0: Client, guests: Played, error: Exception, errno: Errno
) -> None:
    """Nobody is told of it, nothing of it is kept, and it can be tried again."""
    dom0.ask(Op.WATCH, b"@introduceDomain\0t\0")
    guests.error = error

    assert dom0.errno(Op.INTRODUCE, b"5\x001\x007\0") is errno
    assert dom0.reply(Op.IS_DOMAIN_INTRODUCED, b"5\0")[1] == b"F\0"
    assert engine.store.domains.get(5) is None
    assert engine.connections == [dom0.connection]
    guests.error = None
    assert event(b"@introduceDomain", b"t") in dom0.ask(Op.INTRODUCE, b"5\x001\x007\0")
    assert guests.links[5].id == dom0.connection.id + 1


def test_without_guests_domains_are_a_table(engine: Engine) -> None:
    """INTRODUCE and RELEASE work, and nothing is connected."""
    assert NoGuests().unique_id(5) is None
    play(engine, "introduce 5 1 7; introduce 5 1 7; release 5")
