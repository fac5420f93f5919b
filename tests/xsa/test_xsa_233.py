"""XSA-233: a domain and the one that works for it end at the same time."""

from typing import Final

import pytest

from tests.support.hosts import AnyHost

WAYS: Final[dict[str, str]] = {
    "both are killed at once, in one look at the domains": "end 5 6",
    "both are killed at once, the stub domain first": "end 6 5",
    "both are released, a second RELEASE has nobody to end": """
        0 release 5; 0 release 5 -> ENOENT; 0 release 6; 0 release 6 -> ENOENT
        end 5 6
    """,
    "both are released, the stub domain first": """
        0 release 6; 0 release 6 -> ENOENT; 0 release 5; 0 release 5 -> ENOENT
        end 5 6
    """,
    "one is released when both are killed": "0 release 6; end 5 6",
    "they work for each other": "0 target 5 6; end 5 6",
}
"""Domain 6 works for domain 5."""

MET: Final = """
    0 watch @releaseDomain gone; enter {}; 5 watch data t; 6 watch data t; 0 target 6 5
"""

GONE: Final = """
    0 hear -> @releaseDomain:gone @releaseDomain:gone; served -> True; 0 hear -> -
    0 is-introduced 5 -> F; connections 5 -> 0; 0 read ~5 -> ENOENT
    0 is-introduced 6 -> F; connections 6 -> 0; 0 read ~6 -> ENOENT
    enter 6 5; 6 read ~5 -> EACCES
"""
"""Each end was told once; what comes after has nothing to do with them."""


@pytest.mark.parametrize("order", ["5 6", "6 5"])
@pytest.mark.parametrize("way", WAYS)
def test_each_domain_ends_once(anywhere: AnyHost, way: str, order: str) -> None:
    """In whichever order they came."""
    anywhere.play("\n".join([MET.format(order), WAYS[way], GONE]))


def test_a_domain_that_works_for_itself_ends_like_any_other(anywhere: AnyHost) -> None:
    """SET_TARGET of a domain to itself adds nothing that could hold it."""
    anywhere.play("""
        0 watch @releaseDomain gone; enter 5; 0 target 5 5
        0 release 5; 0 hear -> @releaseDomain:gone
        0 is-introduced 5 -> F; connections 5 -> 0
    """)


def test_nothing_is_left_of_domains_that_end_together_again_and_again(
    anywhere: AnyHost,
) -> None:
    """The store is as it was before."""
    before = anywhere.counts()
    for _ in range(5):
        anywhere.play(
            "enter 6 5; 5 watch data t; 6 watch data t; 0 target 6 5; end 6 5"
        )

    assert anywhere.counts() == before
