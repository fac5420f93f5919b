"""xsd.engine.held: a guest that is not answered for a quota is told of in the log."""

import pytest

from tests.engine.script import Verb, play
from tests.engine.support import Client
from xsd.engine import Engine
from xsd.engine.core import QUOTA_EVERY_MS
from xsd.engine.held import HELD_MS
from xsd.store.quota import MEMORY

AT_ITS_TALLY = """
    node /own n5; limit -1 outstanding 1; a watch /own t -> OK /own:t
    5 write /own/0 v; 5 post read /own
"""
RULES = {
    "who waits for a second is told of": f"""
        {AT_ITS_TALLY}; turn {HELD_MS - 1}; log -> -; turn {HELD_MS}
        log -> quota.exceeded
    """,
    "but not who has been answered by then": f"""
        {AT_ITS_TALLY}; turn {HELD_MS - 1}; a hear -> /own/0:t; turn; 5 hear -> read=v
        turn {3 * HELD_MS}; log -> -
    """,
    # Each is answered, though it had to wait a moment.
    "nor who waits with one request after the other": f"""
        {AT_ITS_TALLY}; turn {HELD_MS // 2}; a hear -> /own/0:t; turn
        5 hear -> read=v; 5 write /own/1 v; 5 post read /own/0; turn {HELD_MS}
        log -> -; a hear -> /own/1:t; turn; 5 hear -> read=v; turn {3 * HELD_MS}
        log -> -
    """,
    "nor who begins anew": f"{AT_ITS_TALLY}; 5 anew; turn {HELD_MS}; log -> -",
    "nor who is gone": f"{AT_ITS_TALLY}; gone 5; turn {HELD_MS}; log -> -",
    "it is told of once for all that it waits": f"""
        {AT_ITS_TALLY}; turn {HELD_MS}; log -> quota.exceeded; turn {5 * HELD_MS}
        log -> -; next -> 20000
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_held(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule])


def test_the_request_that_waits_is_named(engine: Engine) -> None:
    """With its path as it was sent, and what is waited for."""
    play(engine, f"{AT_ITS_TALLY}; turn {HELD_MS}")
    (notice,) = engine.take_notices()

    fields = notice.fields
    assert (notice.level, notice.event) == ("warning", "quota.exceeded")
    assert (fields["domid"], fields["request"]) == (5, "READ")
    assert (fields["path"], fields["limit"]) == (b"/own", 1)
    assert fields["quota"] == "outstanding"
    assert fields["what"] == "held up until what it has caused is read"


def test_at_the_quota_of_memory_it_has_to_read(engine: Engine) -> None:
    """As long as something waits for it; without a path if the request has none."""

    def fill(engine: Engine, client: Client, _: list[str]) -> None:
        engine.set_limit(5, MEMORY, engine.store.usage.memory_of(5))
        assert client.connection.outbox.size

    verbs: dict[str, Verb] = {"fill": fill}
    play(
        engine,
        f"""
        node /own n5; 5 send read /own; 5 fill; 5 send start; turn {HELD_MS}
        5 hear -> read=v
        """,
        verbs,
    )
    (notice,) = engine.take_notices()

    fields = notice.fields
    assert (fields["request"], fields["quota"]) == ("TRANSACTION_START", MEMORY)
    assert fields["what"] == "held up until it reads"
    assert "path" not in fields


def test_it_is_told_of_again_after_some_time(engine: Engine) -> None:
    """As of other quotas, with how often it was."""
    again = """
        a hear -> /own/0:t; turn; 5 hear -> read=v; 5 write /own/0 v
        5 post read /own
    """
    late = QUOTA_EVERY_MS + HELD_MS
    play(
        engine,
        f"""
        {AT_ITS_TALLY}; turn {HELD_MS}; {again}; turn {2 * HELD_MS}
        turn {late - HELD_MS}; {again}; turn {late}
        """,
    )

    counts = [each.fields["count"] for each in engine.take_notices()]
    assert counts == [1, 3]
