"""xsd.engine.loglimit: how much of what can be repeated gets into the log."""

import pytest

from xsd.engine.loglimit import AT_ONCE, EVERY_MS, KINDS_MAX, LogLimit
from xsd.engine.notice import Notice

DAY_MS = 24 * 60 * EVERY_MS


def notice(event: str = "request.refused", domid: int = 5) -> Notice:
    return Notice("info", event, {"domid": domid})


def flood(limit: LogLimit, now_ms: int, count: int = 100, domid: int = 5) -> list[int]:
    """Have lines of one kind written; of those that are, how many were left out."""
    told = []
    for _ in range(count):
        each = notice(domid=domid)
        if limit.admits(each, now_ms):
            left_out = each.fields.get("left_out", 0)
            assert isinstance(left_out, int)
            told.append(left_out)
    return told


def test_some_are_written_at_once_and_one_a_minute_says_what_was_left_out() -> None:
    """After a pause, as many as at first."""
    limit = LogLimit()
    assert flood(limit, 0) == [0] * AT_ONCE
    assert flood(limit, EVERY_MS - 1, 10) == []
    assert flood(limit, EVERY_MS, 10) == [90]
    assert flood(limit, 2 * EVERY_MS, 10) == [9]
    assert flood(limit, DAY_MS) == [9] + [0] * (AT_ONCE - 1)


def test_who_repeats_something_once_a_minute_is_always_heard() -> None:
    """Nor does that keep others of the kind from being written."""
    limit = LogLimit()
    for minute in range(1000):
        assert flood(limit, minute * EVERY_MS, 1) == [0]
    assert flood(limit, 999 * EVERY_MS) == [0] * (AT_ONCE - 1)


@pytest.mark.parametrize(
    "other",
    [
        notice("events.expired"),
        notice(domid=6),
        Notice("error", "request.refused", {"domid": 5}),
        Notice("info", "request.refused", {}),
        Notice("info", "daemon.stopped", {}),
    ],
)
def test_a_noisy_kind_silences_no_other(other: Notice) -> None:
    """Another event, level or domain, or the daemon itself."""
    limit = LogLimit()
    flood(limit, 0)

    assert limit.admits(other, 0)
    assert "left_out" not in other.fields


def test_what_is_asked_for_is_not_limited() -> None:
    """Traces, and what has the level debug."""
    limit = LogLimit()
    assert all(
        limit.admits(Notice("debug", "io.request", {"domid": 5}, wanted=wanted), 0)
        for wanted in (True, False)
        for _ in range(1000)
    )


def test_if_nothing_follows_what_was_left_out_is_told_all_the_same() -> None:
    """Once, at a time that is known; or at the end."""
    limit = LogLimit()
    assert (limit.look_ms, limit.end()) == (0, [])
    flood(limit, 0)
    flood(limit, 1, AT_ONCE + 7, domid=-1)
    assert limit.look_ms == EVERY_MS
    told = limit.look(EVERY_MS + 1)
    assert [(each.level, each.event) for each in told] == [("info", "log.left_out")] * 2
    assert [each.fields for each in told] == [
        {"what": "request.refused", "domid": 5, "left_out": 100 - AT_ONCE},
        {"what": "request.refused", "left_out": 7},
    ]
    assert limit.look_ms == 0

    # That was the one of this minute.
    assert flood(limit, EVERY_MS + 1, 9) == []
    assert limit.look(2 * EVERY_MS - 1) == []
    assert limit.look_ms == 3 * EVERY_MS - 1
    (last,) = limit.end()
    assert last.fields["left_out"] == 9


def test_the_limit_takes_no_more_memory_however_many_domains_there_are() -> None:
    """Those that are too many share one kind; who was heard long ago is forgotten."""
    limit = LogLimit()
    for domid in range(4 * KINDS_MAX):
        flood(limit, 0, AT_ONCE + 1, domid)
    assert len(limit._kinds) == KINDS_MAX + 1
    assert flood(limit, 0, 1, DAY_MS) == []
    told = limit.end()
    shared = told.pop()
    assert "domid" not in shared.fields
    assert shared.fields["left_out"] == 3 * KINDS_MAX * (AT_ONCE + 1) - AT_ONCE + 1
    assert [each.fields["left_out"] for each in told] == [1] * KINDS_MAX

    assert flood(limit, DAY_MS, 1, DAY_MS) == [0]
    assert len(limit._kinds) == 1
