"""xsd.engine.guests: INTRODUCE and RELEASE with channels that may fail."""

import pytest

from tests.engine.played import Played
from tests.engine.script import Verb, numbers, play
from tests.engine.support import Client
from xsd.engine import Engine


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
        calls -> connect,5,7 reconnect,5,8 disconnect,5,0""",
    # The engine makes it, and has dropped it when it is given back.
    "a channel is a connection that ends with its domain": """
        introduce 5 1 7; channels -> 2; dirty -> 1; release 5
        connections -> 1; channels -> -; dirty -> 1""",
    "another domain is not served by the channel of the first": """
        introduce 5 1 7; channels -> 2; there 5 205; introduce 5 1 8; channels -> 3""",
    # Nobody is told of it, nothing of it is kept, and it can be tried again.
    **{
        f"a domain that cannot be connected is not introduced: {errno}": f"""
            watch @introduceDomain t -> OK @introduceDomain:t
            {how}; introduce 5 1 7 -> {errno}; is_domain_introduced 5 -> F,; known -> 0
            connections -> 1; accept; introduce 5 1 7 -> @introduceDomain:t OK
            channels -> 2
        """
        for how, errno in (("refuse EINVAL", "EINVAL"), ("defect", "EIO"))
    },
    # One that the hypervisor does not have.
    "a domain without a channel may be introduced, and no connection is left": """
        lenient; introduce 5 1 7; port -> 7; connections -> 1""",
    "a channel that cannot be given back keeps no domain; the log has the defect": """
        introduce 5 1 7; log -> -; defect; release 5
        known -> 0; log -> channel.not_closed""",
    # The toolstack makes its home ready first; one that is not there has none.
    "a domain has rights before it is introduced": """
        node /home n5; perms /home n6 -> ENOENT; calls -> -""",
    "a failed introduction leaves earlier rights alone": """
        node /home n5; refuse EINVAL; introduce 5 1 7 -> EINVAL
        known -> 0 5; get_perms /home -> n5,""",
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
        release 5 -> ENOENT""",
    # Whoever introduces it again does not bring it back, nor end it.
    "domain that is dying is not taken for another one": """
        introduce 5 1 7; watch @releaseDomain t -> OK @releaseDomain:t
        not_there 5; introduce 5 1 7; calls -> connect,5,7 reconnect,5,7""",
    "own domain has no channel to be connected": """
        there 0 100; introduce 0 1 9; release 0 -> EINVAL; calls -> -""",
    "end of a domain disconnects it, unless it was never introduced": """
        there 6 106; introduce 5 1 7; node /a n6; gone 5 6
        calls -> connect,5,7 disconnect,5,0; known -> 0""",
    # Of a known one all that it owns stays, of an unknown one nothing is kept.
    "a waiting domain that cannot be connected is left as it was": """
        node /home n5; there 6 106; refuse EINVAL; found 5 6
        get_perms /home -> n5,; known -> 0 5; calls -> -""",
    "a waiting domain is connected and told once, like an introduced one": """
        watch @introduceDomain t -> OK @introduceDomain:t
        found 5; found 5; hear -> @introduceDomain:t; calls -> connect,5,0
        log -> domain.found""",
}


@pytest.mark.parametrize("rule", RULES)
def test_guests(engine: Engine, guests: Played, rule: str) -> None:
    """Each rule as the script that shows it."""
    store = engine.store

    def channels(engine: Engine, _client: Client, _words: list[str]) -> str:
        found = [each for each in engine.connections if each.is_channel]
        return numbers([each for each in found if not each.lost])

    verbs: dict[str, Verb] = {
        **guests.verbs(),
        "channels": channels,
        "unique_id": lambda *_: str(store.known(5).unique_id),
        "port": lambda *_: str(store.introduced(5).port),
    }
    play(engine, RULES[rule], verbs)
