"""xsd.engine.progress: a transaction commits in the end, however others write."""

import pytest

from tests.engine.script import Verb, play
from tests.engine.support import OK, Client, guest_of, run
from xsd.engine import Engine
from xsd.engine.contest import TURN_MS, WAIT_MS
from xsd.engine.progress import PROTECT_AFTER
from xsd.engine.protection import PROTECT_MAX_MS, PROTECT_MS
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op


def attempt(reader: Client, writer: Client) -> bool:
    """Read a node in a transaction that another client writes; does it commit?"""
    tx = reader.start()
    reader.ask(Op.READ, b"/a\0", tx)
    reader.ok(Op.WRITE, b"/b\0v", tx)
    writer.post(Op.WRITE, b"/a\0other")
    return reader.reply(Op.TRANSACTION_END, b"T\0", tx)[0] == Op.TRANSACTION_END


def fail_often_enough(
    reader: Client, writer: Client, times: int = PROTECT_AFTER
) -> None:
    """Bring a client to where its next transaction is protected."""
    for _ in range(times):
        assert not attempt(reader, writer)
        writer.take()


def fail(engine: Engine, reader: Client, words: list[str]) -> None:
    """Have a client fail often enough or so often, since another one writes."""
    writer = Client(engine)
    fail_often_enough(reader, writer, *map(int, words))
    engine.disconnect(writer.connection)


def flood(_engine: Engine, client: Client, _words: list[str]) -> None:
    """Ask more than is answered without being read."""
    for _ in range(100):
        client.post(Op.GET_DOMAIN_PATH, b"1\0")


def protected(engine: Engine, client: Client, _: list[str]) -> str:
    """Whether a client's transaction is protected, or will be."""
    protection = engine.core.protection
    return str(protection is not None and protection.connection is client.connection)


VERBS: dict[str, Verb] = {
    "flood": flood,
    "protected": protected,
    "start_another": lambda _, client, __: client.send(
        client.frame(Op.TRANSACTION_START)
    ),
    "fail": fail,
    "broken": lambda _, client, __: client.send(b"\xff" * 16),
    "conflicts": lambda _, client, __: str(client.connection.conflicts),
    "now": lambda engine, _, __: str(engine.core.now_ms),
    "later": lambda engine, _, __: str(engine.next_ms > PROTECT_MS + 1),
}

NODES = "node /a b0; node /b b0; 1 hear; 2 hear"
# A transaction of dom0's client a, or of guest 1, is protected.
NEXT = PROTECT_AFTER + 1
PROTECTED = f"{NODES}; a fail; a start -> {NEXT},"
GOES_ON = "; ".join(
    f"turn {now_ms}; a t{NEXT} read /b -> v"
    for now_ms in range(PROTECT_MS - 1, PROTECT_MAX_MS, PROTECT_MS - 1)
)
GUESTS = f"{NODES}; 1 fail; 1 start -> {NEXT},"

RULES = {
    # Neither refused nor lost.
    "the write that waited is carried out afterwards, and what is behind it": f"""
        {PROTECTED}; a t{NEXT} read /a -> other
        post write /a late; post read /a; busy -> False
        a t{NEXT} end T; hear -> write=OK read=late
    """,
    # What broke the last attempt waits from the start: the same is read again.
    **{
        f"{verb} of what it may read waits": f"{PROTECTED}; post {verb} /a {rest}"
        for verb, rest in (("write", "v"), ("rm", ""), ("perms", "n0"))
    },
    "what cannot break it does not wait": f"""
        {PROTECTED}; write /elsewhere v; read /a -> other; write /a/below v
        write // v -> EINVAL
    """,
    "a commit of another waits too, if it changes what was read": f"""
        {NODES}; a fail; start -> 1,; start -> 2,; t1 write /c v; t2 write /a v
        a start -> {NEXT},; t1 end T; t2 post end T
    """,
    # And the slow client has to fail as often again first.
    "nobody waits longer than the limit": f"""
        {PROTECTED}; post write /a late; next -> {PROTECT_MS}
        turn {PROTECT_MS - 1}; hear -> -
        turn {PROTECT_MS}; hear -> write=OK; a conflicts -> 0
    """,
    **{
        f"nobody waits for a client {who}": f"""
            {GUESTS}; 1 t{NEXT} read /a -> other; 2 post write /a late
            {end}; turn; 2 hear -> write=OK; now -> 0
        """
        for who, end in (
            ("that commits", f"1 t{NEXT} end T"),
            ("that aborts", f"1 t{NEXT} end F"),
            ("that resets its watches", "1 reset ''"),
            ("that leaves", "1 leave"),
            ("that begins anew", "1 anew"),
            ("whose domain ends", "gone 1"),
            # Its link reads the end of the stream and ends it when all is sent.
            ("whose stream is broken", "1 broken; 1 leave"),
        )
    },
    "a guest cannot make dom0 wait, only other guests": f"""
        {GUESTS}; 1 t{NEXT} read /a -> other; write /a v; 2 post write /a v
    """,
    # It may name any node, and rely on its being refused.
    "nobody waits at what a guest has no right to": f"""
        {GUESTS}; node /secret n2
        1 t{NEXT} read /secret -> EACCES; 2 write /secret v
    """,
    # Two that wait for each other would do so until the limit.
    "one transaction is protected at a time": f"""
        {NODES}; a fail; b fail; a start -> {NEXT},; b post start
        c start -> 1,; a t{NEXT} write /a v; a t{NEXT} end T
        b hear -> transaction_start={NEXT},
        post write /a late; b t{NEXT} end F; hear -> write=OK; b protected -> False
    """,
    "who needs a protection meanwhile waits for it in order, dom0 before guests": f"""
        {NODES}; a fail; 1 fail; b fail; c fail; a start -> {NEXT},
        1 post start; b post start; c post start; busy -> False
        a t{NEXT} end F; b hear -> transaction_start={NEXT},
        c leave; b leave; turn; 1 hear -> transaction_start={NEXT},
        1 protected -> True; 1 leave; 1 protected -> False
    """,
    "a guest waits for so long at most, and is not protected then": f"""
        {NODES}; 1 fail; a fail; b fail; a start -> {NEXT},; 1 post start; b post start
        turn {WAIT_MS}; 1 hear -> transaction_start={NEXT},
        b hear -> transaction_start={NEXT},; 1 protected -> False; b protected -> True
    """,
    "others wait as long as dom0's client goes on, up to a limit": f"""
        {PROTECTED}; post write /a late
        {GOES_ON}
        turn {PROTECT_MAX_MS - 1}; hear -> -; turn {PROTECT_MAX_MS}; hear -> write=OK
    """,
    # Its own takes that one's place, and guests wait for it.
    "dom0 does not wait until a guest's protection is over": f"""
        {NODES}; 1 fail; a fail; 1 start -> {NEXT},; 3 post write /a late
        a start -> {NEXT},; a t{NEXT} read /a -> other
        3 post write /a later; 2 post write /a later
        a t{NEXT} end T; 3 hear -> write=OK write=OK; 2 hear -> write=OK
    """,
    "a guest waits for every protection of dom0, also after a guest's": f"""
        {NODES}; 1 fail; a fail; 1 start -> {NEXT},; 1 t{NEXT} read /a -> other
        2 post write /a late; a start -> {NEXT},; a t{NEXT} read /a -> other
        turn; 2 hear -> -
        a t{NEXT} write /b v; a t{NEXT} end T; 2 hear -> write=OK
    """,
    # Only conflicts in a row are a sign of starving.
    "a commit in between begins the count anew": f"""
        {NODES}; a fail {PROTECT_AFTER - 1}; a start -> {PROTECT_AFTER},
        a t{PROTECT_AFTER} end T; a conflicts -> 0; a fail
    """,
    # Or a guest could have one transaction after another protected (XSA-206).
    "reset_watches begins the count anew": f"""
        {GUESTS}; 1 t{NEXT} read /a -> other; 2 post write /a new
        1 reset ''; 2 hear -> write=OK
        1 start -> {NEXT + 1},; 1 t{NEXT + 1} read /a -> new; 2 write /a new
        1 reset ''; 1 start -> {NEXT + 2},; 1 t{NEXT + 2} read /a -> new
        2 write /a new
    """,
    # Nobody else is the cause of them, and others would pay.
    **{
        f"conflicts with one's own {what} earn no protection": "homes 1 2\n"
        + "\n".join(
            f"""
            1 write x 0; 1 start -> {tx},; 1 t{tx} read x -> 0
            {own.format(tx + 1)}; 1 t{tx} end T -> EAGAIN
            """
            for tx in range(1, (NEXT + 1) * step + 1, step)
        )
        + "1 conflicts -> 0; 1 start_another; 1 protected -> False; 2 write own v"
        for what, own, step in (
            ("write", "1 write /local/domain/1/x 1", 1),
            ("write by a relative path", "1 write x 1", 1),
            ("rm", "1 rm /local/domain/1/x", 1),
            ("commit", "1 start -> {0},; 1 t{0} write x 1; 1 t{0} end T", 2),
        )
    },
    # What others break counts, though the client has written meanwhile.
    "one's own writes elsewhere do not hide a conflict": NODES
    + "\n".join(
        f"""
        a start -> {tx},; a t{tx} read /a -> v; a write /c v; write /a v
        a t{tx} write /b v; a t{tx} end T -> EAGAIN
        """
        for tx in range(1, NEXT)
    )
    + f"a start -> {NEXT},; a protected -> True",
    "a protection that is over keeps nobody busy, though its client is held up": f"""
        {GUESTS}; 1 flood; 1 wants_input -> False
        next -> {TURN_MS}; turn {TURN_MS + 1}; busy -> False; 1 protected -> False
    """,
    # By an event that has nothing to do with it.
    "who waits goes on waiting when it is asked again": f"""
        {GUESTS}; 1 t{NEXT} read /a -> other; 2 post write /a late
        limit 2 nodes 1; busy -> True; turn; 2 hear -> -; busy -> False
        limit 2 nodes 2; busy -> True; turn; 2 hear -> -; busy -> False
        1 t{NEXT} end F; 2 hear -> write=OK
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_protection(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule], VERBS)


def two(engine: Engine) -> tuple[Client, Client]:
    """Two clients of dom0 and a node that both know."""
    reader, writer = Client(engine), Client(engine)
    writer.ok(Op.WRITE, b"/a\0v")
    return reader, writer


def test_a_transaction_commits_after_so_many_conflicts(engine: Engine) -> None:
    """Whoever writes between all its reads and its end is made to wait."""
    reader, writer = two(engine)
    attempts = 1
    while not attempt(reader, writer):
        attempts += 1

    assert attempts == PROTECT_AFTER + 1
    assert reader.connection.conflicts == 0


def test_a_guests_request_waits_for_one_guest_only(engine: Engine) -> None:
    """Or two of them could make it wait for ever."""
    play(engine, "node /a b0; node /b b0")
    guest, other, third = (guest_of(engine, domid) for domid in (1, 2, 3))
    for each in (guest, third):
        fail_often_enough(each, other)
    tx = guest.start()
    guest.ask(Op.READ, b"/a\0", tx)
    other.post(Op.WRITE, b"/a\0late")
    assert other.take() == []
    # Both at once: the next is protected before the one that waits has its turn.
    end = guest.frame(Op.TRANSACTION_END, b"F\0", tx)
    start = third.frame(Op.TRANSACTION_START, b"\0")
    engine.core.schedule.queue(other.connection)
    for client, data in ((guest, end), (third, start)):
        engine.feed(client.connection, data)
    engine.core.schedule.guests.rotate(-1)
    run(engine)

    assert engine.core.protection is not None
    assert engine.core.protection.connection is third.connection
    assert other.take() == [(Op.WRITE, OK)]


@pytest.mark.parametrize("late", [False, True])
def test_who_failed_although_protected_is_protected_again(
    engine: Engine, *, late: bool
) -> None:
    """Unless it took too long, and so made others wait for nothing."""
    reader, writer = two(engine)
    fail_often_enough(reader, writer)
    tx = reader.start()
    reader.ask(Op.READ, b"/a\0", tx)
    reader.ok(Op.WRITE, b"/b\0v", tx)
    # What must not happen as long as others wait: here it does.
    engine.core.protection, kept = None, engine.core.protection
    writer.ok(Op.WRITE, b"/a\0other")
    engine.core.protection = kept
    if late:
        run(engine, PROTECT_MS)
    assert reader.errno(Op.TRANSACTION_END, b"T\0", tx) is Errno.EAGAIN
    count = 1
    while not attempt(reader, writer):
        count += 1
        writer.take()

    assert count == (PROTECT_AFTER if late else 1)
