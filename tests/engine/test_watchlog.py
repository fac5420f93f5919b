"""xsd.engine.watchlog: who has many watches, and what UNWATCH did not find."""

import pytest

from tests.engine.script import play
from tests.engine.support import Client, guest_at_home
from xsd.engine import Engine
from xsd.engine.connection import MANY_WATCHES
from xsd.engine.watchlog import LOOKED_AT, PLACE_SHOWN, TOKEN_SHOWN, not_found, places
from xsd.protocol.ops import Op


def watch(client: Client, path: bytes, token: bytes = b"t") -> None:
    """Watch, and take what comes of it."""
    client.post(Op.WATCH, path + b"\0" + token + b"\0")
    client.take()


def test_a_client_of_dom0_that_forgets_its_watches_is_told_of(dom0: Client) -> None:
    """At a thousand, and at each doubling: who it is, and on what most of them are."""
    engine = dom0.engine
    told = []
    # A path and a token in the wrong order: nothing is taken out.
    for number in range(4 * MANY_WATCHES):
        watch(dom0, b"/local/domain/%d" % number, b"%d" % number)
        told += [
            (number + 1, each.fields)
            for each in engine.take_notices()
            if each.event == "watches.many"
        ]

    assert told == [
        (
            count,
            {
                "connection": dom0.connection.id,
                "domid": 0,
                "watches": count,
                "watched": f"{min(count, LOOKED_AT)} in /local/domain",
            },
        )
        for count in (MANY_WATCHES, 2 * MANY_WATCHES, 4 * MANY_WATCHES)
    ]


def test_it_is_told_of_once_however_often_it_reaches_that(dom0: Client) -> None:
    """Nobody can fill the log by going there and back."""
    for number in range(MANY_WATCHES):
        watch(dom0, b"/a", b"%d" % number)
    (notice,) = dom0.engine.take_notices()
    for _ in range(3):
        dom0.ok(Op.UNWATCH, b"/a\0" + b"0\0")
        watch(dom0, b"/a", b"0")

    assert (notice.level, notice.event) == ("info", "watches.many")
    assert dom0.engine.take_notices() == []


def test_of_guests_their_quota_tells(engine: Engine) -> None:
    """However many it allows."""
    guest = guest_at_home(engine, 1)
    for quota in ("watches", "memory"):
        engine.set_limit(1, quota, 0)
    for number in range(MANY_WATCHES + 1):
        watch(guest, b"/a", b"%d" % number)

    assert [each.event for each in engine.take_notices()] == []


def test_watches_of_many_domains_are_one_place(engine: Engine) -> None:
    """The most frequent come first, three of them; special names as they are."""
    guest = guest_at_home(engine, 3)
    engine.set_limit(3, "watches", 0)
    for domid in range(4):
        for leaf in (b"a", b"b", b"c"):
            path = b"/local/domain/%d/device/vif/0/%s" % (domid, leaf)
            watch(guest, path)
    watch(guest, b"rel")
    watch(guest, b"@releaseDomain")
    watch(guest, b"@releaseDomain", b"u")
    watch(guest, b"/")

    assert places([guest.connection]) == (
        "12 in /local/domain/*/device/vif/*, 2 in @releaseDomain, 1 in /"
    )
    assert places([]) == ""


def test_a_place_is_not_long(dom0: Client) -> None:
    """However long or deep the path is, and whatever is in it."""
    watch(dom0, b"/" + b"x" * 200 + b"/y")
    long = f"1 in /{'x' * (PLACE_SHOWN - 1)}..."
    assert places([dom0.connection]) == long
    watch(dom0, b"/a" * 500)
    deep = f"1 in {'/a' * (PLACE_SHOWN // 2 - 1)}"
    assert places([dom0.connection]) == f"{deep}, {long}"


RULES = {
    "another token": ("watch /a t -> OK /a:t; unwatch /a u", "u", ""),
    "nothing like it": ("unwatch /a/b /a", "/a", ""),
    "a token that is no path": ("watch /a t -> OK /a:t; unwatch /b x//y", "x//y", ""),
    "path and token swapped": (
        "watch /a 5 -> OK /a:5; unwatch 5 /a",
        "/a",
        "; there is one with path and token swapped",
    ),
    "swapped and relative": (
        "1 watch data /x -> OK data:/x; 1 unwatch /x data",
        "data",
        "; there is one with path and token swapped",
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_unwatch_says_what_it_did_not_find(engine: Engine, rule: str) -> None:
    """It is a mistake of the client's, and so is in the log, unlike other ENOENT."""
    script, token, more = RULES[rule]
    play(engine, f"{script} -> ENOENT")
    (notice,) = engine.take_notices()

    fields = notice.fields
    assert (notice.level, fields["request"]) == ("info", "UNWATCH")
    assert fields["errno"] == "ENOENT"
    reason = f"no watch on this path with the token '{token}'{more}"
    assert str(fields["reason"]) == reason


def test_a_token_is_shown_up_to_its_first_bytes(dom0: Client) -> None:
    """As any byte that it has: the log makes it printable."""
    for token, shown in (
        (b"\xff" * TOKEN_SHOWN, "\xff" * TOKEN_SHOWN),
        (b"x" * (TOKEN_SHOWN + 1), "x" * TOKEN_SHOWN + "..."),
    ):
        reason = not_found(dom0.connection, b"/a", token)
        assert reason == f"no watch on this path with the token '{shown}'"
