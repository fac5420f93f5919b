"""XSA-324: a token so long that an event with it would be longer than a payload."""

from typing import Final

import pytest

from tests.support.hosts import Host, frames
from tests.xsa.support import World
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.ops import Op

LONG: Final = f"t*{PAYLOAD_MAX - len('d..')}"
"""The longest token that a watch on `d` can have: its own event just fits."""

RULES: Final[dict[str, str]] = {
    "an event that is too long is dropped, one that fits is not": f"""
        watch d {LONG}
        0* write ~1/d value; hear -> d:{LONG}
        0* write ~1/d/below value; hear -> -
    """,
    "two in one transaction, of which one fits": f"""
        watch d {LONG}; 0 start t1; t1 write ~1/d value; t1 write ~1/d/below value
        t1 commit -> OK; hear -> d:{LONG}
    """,
    "who causes one that is too long hears nothing of it": f"""
        watch d {LONG}; mkdir d/below -> OK; rm d/below -> OK; hear -> -
    """,
    "other watches are told, before and behind it": f"""
        enter 1; 0 watch ~1/d before; watch d {LONG}; 0 watch ~1/d behind
        mkdir d/below -> OK; 0 hear -> ~1/d/below:before ~1/d/below:behind
    """,
    # A depth makes the event longer than the watch's path.
    "the end of a domain is told beside a token that is too long": f"""
        watch @releaseDomain t*{PAYLOAD_MAX - len("@releaseDomain..1.")} 1
        watch @releaseDomain short
        0 introduce 30 1 1; 0 release 30; hear -> @releaseDomain:short
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_an_event_that_is_too_long_is_nobodys_trouble(
    world: World, rule: str, inside: bool
) -> None:
    """Whether the change is made in a transaction or not."""
    world.play(RULES[rule], inside=inside)


def test_the_longest_token_passes_the_ring_whole(host: Host) -> None:
    """The events that fit come complete, the others not at all."""
    guest = host.guest(1)
    token = b"t" * (PAYLOAD_MAX - len(b"d\0\0"))
    guest.request(Op.WATCH, b"d\0" + token + b"\0")
    found = guest.next_event(10)
    assert found is not None
    assert (found.path, found.token) == (b"d", token)
    for number in range(5):
        host.dom0.write(f"/local/domain/1/d/{number}", b"")
    host.dom0.write("/local/domain/1/d", b"")

    (told,) = frames(guest, 1)
    assert told.payload == b"d\0" + token + b"\0"
    assert not guest.exists("nothing")
