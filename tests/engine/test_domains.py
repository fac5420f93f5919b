"""xsd.engine.domains: how domains end, are found, and shut down."""

import pytest

from tests.engine.played import Played
from tests.engine.script import Verb, play
from tests.engine.support import Client
from xsd.engine import Engine
from xsd.protocol.ops import Op

RULES = {
    "a domain that is gone is told with its nodes, first what it owned": """
        found 5; node /own n5; watch @releaseDomain t -> OK @releaseDomain:t
        watch /own own -> OK /own:own
        gone 5; hear -> /own:own @releaseDomain:t""",
    # A watch without a depth cannot tell them apart anyway.
    "domains that shut down are told once, but each by its number": """
        found 5 6; a watch @releaseDomain t -> OK @releaseDomain:t
        b watch @releaseDomain t 1 -> OK @releaseDomain:t
        stop 5 6; a hear -> @releaseDomain:t
        b hear -> @releaseDomain/5:t @releaseDomain/6:t""",
    "its connections end, too, which their links are told": """
        5 hear; dirty -> -; gone 5; 5 state -> lost; dirty -> 2""",
    "RESUME takes a shutdown back": """
        found 5; stop 5; shut_down -> True; resume 5; shut_down -> False""",
    # Nobody was told that it had come.
    "a domain known from permissions only ends in silence": """
        come 7; watch @releaseDomain t -> OK @releaseDomain:t; known -> 0 7
        gone 7; hear -> -; known -> 0""",
    "orphans can be kept: they pass to dom0 and nobody is told of them": """
        found 5; node /own n5 r5; watch /own t -> OK /own:t
        orphans; gone 5; hear -> -; get_perms /own -> n0,""",
    "many domains that end at once are told one by one, each with its nodes": """
        found 5 6; watch @releaseDomain t -> OK @releaseDomain:t
        node /own5 n5; node /own6 n6; watch / root -> OK /:root
        gone 5 9 6
        hear -> /own5:root @releaseDomain:t /own6:root @releaseDomain:t""",
    "a found domain is told once, like an introduced one, and the log has it": """
        watch @introduceDomain t -> OK @introduceDomain:t
        found 5; found 5; hear -> @introduceDomain:t; log -> domain.found
        release 6 -> ENOENT""",
}


VERBS: dict[str, Verb] = {
    "shut_down": lambda engine, _, __: str(engine.store.known(5).shut_down),
}


@pytest.mark.parametrize("rule", RULES)
def test_domains(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule], VERBS)


def test_another_domain_is_not_served_by_the_channel_of_the_first(dom0: Client) -> None:
    """INTRODUCE finds out that it is another one; the first one's connection ends."""
    guests = Played()
    dom0.engine.attach(guests)
    dom0.ok(Op.INTRODUCE, b"5\x001\x007\0")
    first = guests.links[5]
    guests.there[5] = 205
    dom0.ok(Op.INTRODUCE, b"5\x001\x008\0")

    assert first.lost
    assert guests.links[5] is not first
    assert guests.links[5].is_channel
