"""xsd.engine.turns and .contest: whose turn it is at a contested node."""

import pytest

from tests.engine.script import Verb, play
from tests.engine.support import Client, guest_at_home, home
from xsd.engine import Engine
from xsd.engine.contest import (
    CONTESTED_MS,
    TURN_FREE_MS,
    TURN_MS,
    TURN_OWED_MS,
    TURN_PRICE,
    WAIT_MS,
)
from xsd.engine.progress import PROTECT_AFTER
from xsd.engine.turns import CONTESTED_MAX, DEPTH_MAX, GUEST_MAX
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.protocol.path import format_path


def fail_at(client: Client, writer: Client, path: bytes) -> None:
    """Have a transaction fail because somebody else has written a node."""
    tx = client.start()
    client.ask(Op.READ, path + b"\0", tx)
    client.ask(Op.WRITE, path + b"\0mine", tx)
    writer.ok(Op.WRITE, path + b"\0v")
    assert client.errno(Op.TRANSACTION_END, b"T\0", tx) is Errno.EAGAIN


def fail(engine: Engine, client: Client, words: list[str]) -> None:
    """fail /a /b: have transactions of a client fail there, since dom0 writes."""
    writer = Client(engine)
    for word in words:
        fail_at(client, writer, word.encode())
    engine.disconnect(writer.connection)


def contested(engine: Engine, _: Client, __: list[str]) -> str:
    """Where transactions take turns."""
    return " ".join(format_path(each).decode() for each in engine.core.contests.nodes)


def waiting(engine: Engine, _: Client, __: list[str]) -> str:
    """How many wait, and how many have a turn."""
    contests = engine.core.contests
    return f"{len(contests.waiting)} {len(contests.turns)}"


def owe(_: Engine, client: Client, __: list[str]) -> None:
    """Have a guest owe as much as it may, and a little more."""
    client.connection.pays_until_ms = TURN_OWED_MS + 1


VERBS: dict[str, Verb] = {
    "fail": fail,
    "owe": owe,
    "contested": contested,
    "waiting": waiting,
    "free": lambda engine, client, _: str(
        client.connection.pays_until_ms - engine.core.now_ms
    ),
}

NODES = "node /a b0; node /b b0; node /a/x b0; a hear; 1 hear; 2 hear; 3 hear"
# Client a of dom0, or guest 1, has its turn at /a, with transaction 2.
TURN = f"{NODES}; a fail /a; a start -> 2,; a t2 read /a -> v"
GUESTS = f"{NODES}; 1 fail /a; 1 start -> 2,; 1 t2 read /a -> v; 2 start -> 1,"
WAITS = f"{GUESTS}; 2 t1 post read /a"
PAID_MS = TURN_PRICE * (TURN_MS - TURN_FREE_MS)

RULES = {
    "who accesses a contested node has it; others wait, and see what it has done": f"""
        {TURN}; b start -> 1,; c start -> 1,; b t1 post read /a; c t1 post read /a
        busy -> False; a t2 write /a new; a t2 end T
        b hear -> read=new; c hear -> -; waiting -> 1 1
        b t1 write /a newer; b t1 end T; c hear -> read=newer
        c t1 write /a v; c t1 end T; waiting -> 0 0
    """,
    **{
        f"{verb} waits for its turn, too": f"""
            {TURN}; b start -> 1,; b t1 post {verb} {rest}
        """
        for verb, rest in (
            ("write", "/a v"),
            ("rm", "/a"),
            ("perms", "/a n0"),
            ("directory", "/a"),
            ("get_perms", "/a"),
            ("write", "/a/new v"),
            ("mkdir", "/a/new"),
            ("rm", "/a/x"),
        )
    },
    **{
        f"{what} does not wait": f"{TURN}; b start -> 1,; b {rest}"
        for what, rest in (
            ("what is no transaction's", "write /a v"),
            ("an access elsewhere", "t1 read /b -> v"),
            ("a change of what there is below", "t1 write /a/x v"),
            ("what no path is", "t1 read // -> EINVAL"),
            ("who has changed something", "t1 write /b v; b t1 read /a -> v"),
        )
    },
    "who has been there before goes on, as it can see what it has seen": f"""
        {NODES}; b start -> 1,; b t1 read /a -> v; a fail /a
        a start -> 2,; a t2 read /a -> v; b t1 read /a -> v
    """,
    "a client does not wait for itself, nor while it has a turn": f"""
        {TURN}; a start -> 3,; a t3 read /a -> v
        b fail /b; b start -> 2,; b t2 read /b -> v; a t2 read /b -> v
        b t2 read /a -> v
    """,
    "dom0 is before guests": f"""
        {TURN}; 1 start -> 1,; 1 t1 post read /a; b start -> 1,; b t1 post read /a
        a t2 end F; b hear -> read=v; 1 hear -> -; b t1 end F; 1 hear -> read=v
    """,
    # And what has lost its turn for that does not make it fail.
    "dom0 does not wait for a guest, which waits to commit": f"""
        {GUESTS}; a start -> 1,; a t1 read /a -> v; 1 t2 write /a guest
        1 t2 post end T; a t1 write /a new; a t1 end T; 1 hear -> EAGAIN
        waiting -> 0 0
    """,
    "what a guest commits elsewhere, or drops, does not wait": f"""
        {TURN}; 1 start -> 1,; 1 t1 write /b v; 1 t1 end T
        2 start -> 1,; 2 t1 write /b v; 2 t1 write /a v; 2 t1 end F
    """,
    **{
        f"nobody waits for a turn whose client {who}": f"""
            {WAITS}; {end}; turn; 2 hear -> read=v; waiting -> 0 1
        """
        for who, end in (
            ("aborts", "1 t2 end F"),
            ("commits", "1 t2 end T"),
            ("resets its watches", "1 reset ''"),
            ("leaves", "1 leave"),
            ("begins anew", "1 anew"),
            ("is gone", "gone 1"),
        )
    },
    **{
        f"whose client {who} has no turn and waits for none": f"""
            {WAITS}; 3 start -> 1,; 3 t1 post read /a; waiting -> 2 1
            {end}; waiting -> 1 1; 1 t2 end F; 3 hear -> read=v; waiting -> 0 1
        """
        for who, end in (
            ("leaves", "2 leave"),
            ("begins anew", "2 anew"),
            ("is gone", "gone 2"),
        )
    },
    "whose only waiter has gone has its turn, and does not pay": f"""
        {WAITS}; 2 leave; turn 500; 3 start -> 1,; 3 t1 post read /a
        1 t2 end F; 3 hear -> read=v; 1 free -> -500
    """,
    "a missing node is contested like any": f"""
        {NODES}; 1 start -> 1,; 1 t1 read /none -> EACCES; 1 t1 write /b v
        write /none v; 1 t1 end T -> EAGAIN; rm /none; contested -> -
        perms / n0 r1; 1 start -> 2,; 1 t2 read /none -> ENOENT; 1 t2 write /b v
        write /none v; 1 t2 end T -> EAGAIN; rm /none; contested -> /none
        a start -> 1,; a t1 read /none -> ENOENT; b start -> 1,
        b t1 post write /none/below v
    """,
    # Else who waits for it could make it wait.
    "a protected transaction takes its turn, but not from dom0": f"""
        {NODES}; {"; ".join(["1 fail /a"] * PROTECT_AFTER)}
        2 start -> 1,; 2 t1 read /a -> v
        1 start -> {PROTECT_AFTER + 1},; 1 t{PROTECT_AFTER + 1} read /a -> v
        1 t{PROTECT_AFTER + 1} end F; {"; ".join(["1 fail /a"] * PROTECT_AFTER)}
        a start -> 1,; a t1 read /a -> v
        1 start -> {2 * PROTECT_AFTER + 2},; 1 t{2 * PROTECT_AFTER + 2} post read /a
    """,
    # Its time begins when somebody waits.
    "a turn ends when it was waited for too long, and a guest pays for that": f"""
        {GUESTS}; turn 500; 2 t1 post read /a
        turn {500 + TURN_MS - 1}; 2 hear -> -; turn {500 + TURN_MS}; 2 hear -> read=v
        1 free -> {PAID_MS}
    """,
    "a guest that owes too much comes last": f"""
        {GUESTS}; 1 owe; 1 t2 end F
        1 start -> 3,; 1 t3 read /a -> v; 2 start -> 2,; 2 t2 read /a -> v
        1 t3 write /a late; 1 t3 post end T; 2 t2 write /a new; 2 t2 end T
        1 hear -> EAGAIN; 2 start -> 3,; 2 t3 read /a -> new
        1 start -> 4,; 1 t4 post read /a; 3 start -> 1,; 3 t1 post read /a
        2 t3 end F; 3 hear -> read=new; 1 hear -> -; 3 t1 end F; 1 hear -> read=new
    """,
    "what a turn takes up to a limit is free, also if nobody waits": f"""
        {WAITS}; turn {TURN_FREE_MS}; 1 t2 end F; 2 hear -> read=v
        1 free -> {-TURN_FREE_MS}
        turn 500; 2 t1 end F; 2 free -> -500
    """,
    "dom0 does not pay": f"""
        {TURN}; b start -> 1,; b t1 post read /a; turn {TURN_MS}; b hear -> read=v
        a free -> -{TURN_MS}
    """,
    # Guests in front of it may take as long as they can, and pay for it.
    "a guest waits for so long at most, and does without": f"""
        {TURN}; 1 start -> 1,; 1 t1 post read /a
        b start -> 1,; b t1 post read /a; turn {WAIT_MS - 1}; b hear -> read=v
        a t2 end F; a start -> 3,; a t3 post read /a; turn {WAIT_MS + TURN_MS}
        1 hear -> read=v; a hear -> read=v; waiting -> 0 1; 1 t1 end F
    """,
    "who waits goes on waiting when it is asked again": f"""
        {WAITS}; limit 2 nodes 1; busy -> True; turn; 2 hear -> -; waiting -> 1 1
        1 t2 end F; 2 hear -> read=v
    """,
    "a node is contested for a while after the last conflict or wait": f"""
        {WAITS}; contested -> /a; 1 t2 end F; 2 hear -> read=v; 2 t1 end F
        turn {CONTESTED_MS - 1}; contested -> /a; turn {CONTESTED_MS}; contested -> -
    """,
    "a turn that nobody waits for does not keep it contested": f"""
        {TURN}; turn {CONTESTED_MS}; contested -> -; waiting -> 0 0
        b start -> 1,; b t1 read /a -> v; a t2 end F
    """,
    # It may name any node, and rely on its being refused.
    "nobody waits at what a guest has no right to, nor does it": f"""
        {NODES}; node /secret n2; 1 start -> 1,; 1 t1 read /secret -> EACCES
        1 t1 write /b v; 2 write /secret v; node /secret n2
        2 perms /secret n2 r1; 2 perms /secret n2; 1 t1 end T -> EAGAIN
        contested -> -; 2 fail /secret; contested -> /secret
        1 start -> 2,; 1 t2 read /secret -> EACCES; waiting -> 0 0
        2 start -> 2,; 2 t2 read /secret -> v; 1 start -> 3,
        1 t3 read /secret -> EACCES
    """,
    **{
        f"conflicts with one's own {what} earn no turn": f"""
            homes 1; 1 write x 0; 1 start -> 1,; 1 t1 {first}; {own}
            1 t1 read x; 1 t1 write y 1; 1 t1 end T -> EAGAIN; contested -> -
        """.replace("1 t1 read x;", "1 t1 read x -> 0;")
        for what, first, own in (
            ("write", "read x -> 0", "1 write x 1"),
            ("commit", "read x -> 0", "1 start -> 2,; 1 t2 write x 1; 1 t2 end T"),
            ("write of what is looked at later", "write z 1", "1 write x 1"),
        )
    },
}


@pytest.mark.parametrize("rule", RULES)
def test_turns(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule], VERBS)


def test_contested_nodes_are_bounded(engine: Engine) -> None:
    """Few because of one guest; dom0's take the place of guests', never the reverse."""
    writer = Client(engine)
    nodes = engine.core.contests.nodes
    for domid in range(1, CONTESTED_MAX // GUEST_MAX + 2):
        guest = guest_at_home(engine, domid)
        for number in range(GUEST_MAX + 1):
            path = home(domid) + b"/%d" % number
            guest.ok(Op.WRITE, path + b"\0v")
            fail_at(guest, writer, path)
            # The same once more.
            fail_at(guest, writer, path)
        assert len(nodes) == min(GUEST_MAX * domid, CONTESTED_MAX)
    for number in range(CONTESTED_MAX + 1):
        fail_at(Client(engine), writer, b"/%d" % number)
        assert len(nodes) == CONTESTED_MAX
    assert {each.domid for each in nodes.values()} == {0}


def test_deep_nodes_are_not_contested(engine: Engine) -> None:
    """What is kept of them is bounded, too."""
    writer = Client(engine)
    for levels in (DEPTH_MAX - 1, DEPTH_MAX):
        writer.ok(Op.WRITE, b"/d" * levels + b"\0v")
        fail_at(Client(engine), writer, b"/d" * levels)
    assert [len(path) for path in engine.core.contests.nodes] == [DEPTH_MAX]


def test_whose_contest_makes_room_goes_on(engine: Engine) -> None:
    """With its turn, or waiting for one."""
    play(engine, WAITS, VERBS)
    assert len(engine.core.contests.waiting) == 1
    writer = Client(engine)
    for number in range(CONTESTED_MAX):
        fail_at(Client(engine), writer, b"/%d" % number)
    assert (engine.core.contests.waiting, engine.core.contests.turns) == ({}, {})
    assert not any(each.backlog for each in engine.connections)
