"""xsd.engine.domains: how domains end, are found, and shut down."""

import pytest

from tests.engine.script import Verb, play
from xsd.engine import Engine

RULES = {
    # A watch without a depth cannot tell them apart anyway.
    "domains that shut down are told once, but each by its number": """
        found 5 6; a watch @releaseDomain t -> OK @releaseDomain:t
        b watch @releaseDomain t 1 -> OK @releaseDomain:t
        c watch @releaseDomain/5 t -> OK @releaseDomain/5:t
        stop 5 6; a hear -> @releaseDomain:t; c hear -> @releaseDomain/5:t
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
}


VERBS: dict[str, Verb] = {
    "shut_down": lambda engine, _, __: str(engine.store.known(5).shut_down),
}


@pytest.mark.parametrize("rule", RULES)
def test_domains(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule], VERBS)
