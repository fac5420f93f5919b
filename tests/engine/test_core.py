"""xsd.engine.core: whom events burden, and who is told of them."""

import pytest

from tests.engine.script import Verb, play
from tests.engine.support import OK, Client, event, told
from xsd.engine import Engine
from xsd.engine.core import Core
from xsd.protocol.errors import XenStoreError
from xsd.protocol.ops import Op
from xsd.protocol.perms import Caller
from xsd.store import Event, Store, Watch

# A guest that has as much under way as it may, for dom0's client a.
AT_ITS_TALLY = """
    node /own n5; limit -1 outstanding 3; a watch /own t -> OK /own:t
    5 write /own/0 v; 5 write /own/1 v; 5 write /own/2 v; 5 post read /own
    busy -> False
"""
THREE = "/own/0:t /own/1:t /own/2:t"

# A guest waits for those who read what it caused, since that is its own (XSA-326).
RULES = {
    "a guest waits until others have read what it caused": f"""
        {AT_ITS_TALLY}
        set_quota 5 outstanding 3; 5 hear -> -
        a hear -> {THREE}; turn; 5 hear -> read=v""",
    "or are gone": f"{AT_ITS_TALLY}; a leave; turn; 5 hear -> read=v",
    "or it may have more": f"""
        {AT_ITS_TALLY}; set_quota 5 outstanding 4; turn; 5 hear -> read=v""",
    "or it may have any number": f"""
        {AT_ITS_TALLY}; set_quota 5 outstanding 0; turn; 5 hear -> read=v""",
    "a waiting guest goes on as soon as one event was read completely": f"""
        {AT_ITS_TALLY}
        a read_but_one_byte; busy -> False; a read_that; turn; 5 hear -> read=v""",
    # Who reads nothing has its own trouble only.
    "what dom0 causes holds nobody up, and is no guest's": f"""
        node /a r0; limit -1 outstanding 3; 5 watch /a t -> OK /a:t
        {";".join(f"write /a/{number} v" for number in range(9))}
        5 tally -> 0
        5 read /a -> {" ".join(f"/a/{number}:t" for number in range(9))} v""",
    # At once, whenever its transport ends the connection.
    "a domain that ends lets those go on who waited for it": """
        node /a b5; limit -1 outstanding 1; 6 watch /a t -> OK /a:t
        5 write /a v; 5 post read /a; gone 6; turn; 5 hear -> read=v""",
}


def read_but_one_byte(engine: Engine, client: Client, _: list[str]) -> None:
    """Take the first message but for its end."""
    first = client.connection.outbox.peek(1)
    engine.sent(client.connection, len(first) - 1)


VERBS: dict[str, Verb] = {
    "read_but_one_byte": read_but_one_byte,
    "read_that": lambda engine, client, _: engine.sent(client.connection, 1),
    "tally": lambda _, client, __: str(client.connection.tally.count),
}


@pytest.mark.parametrize("rule", RULES)
def test_who_waits_for_others(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule], VERBS)


def test_event_for_a_connection_that_is_gone_is_dropped() -> None:
    """Only a defect could cause one; it must not become a crash."""
    core = Core(Store())
    watch = Watch(99, Caller(0, privileged=True), (b"", b"a"), b"/a", b"t", -1)

    core.deliver([Event(watch, b"/a")])

    assert (core.dirty, core.notices) == ([], [])


@pytest.mark.pure_only
def test_an_event_that_cannot_be_queued_concerns_nobody_else(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request has happened, the others are told, and the log has the defect."""
    first, broken, last = (Client(engine) for _ in range(3))
    for each in (first, broken, last):
        each.ask(Op.WATCH, b"/a\0t\0")
    with monkeypatch.context() as patch:
        patch.setattr(broken.connection, "outbox", None)
        first.post(Op.WRITE, b"/a\0v")

    assert told(engine) == ["event.failed"]
    assert first.take() == [event(b"/a", b"t"), (Op.WRITE, OK)]
    assert broken.take() == []
    assert last.take() == [event(b"/a", b"t")]


@pytest.mark.pure_only
def test_paths_that_dom0_names_again_are_kept_up_to_a_number(dom0: Client) -> None:
    """Absolute and short ones; what is no path or not the same for all is not."""
    engine = dom0.engine
    engine.tape = None
    core, connection = engine.core, dom0.connection
    assert core.path(connection, b"/a") is core.path(connection, b"/a")
    other = Client(engine, 5)
    assert core.path(connection, b"a") == (b"", b"local", b"domain", b"0", b"a")
    assert core.path(other.connection, b"a")[3:] == (b"5", b"a")
    with pytest.raises(XenStoreError):
        core.path(connection, b"@releaseDomain")
    assert core.path(connection, b"@releaseDomain", special=True) == (
        b"@releaseDomain",
    )
    with pytest.raises(XenStoreError):
        core.path(connection, b"@releaseDomain")
    for number in range(5000):
        core.path(connection, b"/%d" % number)
    core.path(connection, b"/" + b"x" * 500)

    assert 0 < len(core._paths) <= 4096
    assert max(map(len, core._paths)) < 200
