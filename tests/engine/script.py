"""Scripts of an engine: who asks what, and all that each is sent then.

A step is a line, or stands between semicolons; what comes of it is behind `->`:

    1 read /a -> EACCES         guest 1 asks; without a number it is a client of dom0's
    a watch /a t -> OK /a:t     another one of dom0's (a, b or c): a reply and an event
    t2 write /a v               in transaction 2; a reply is OK unless it is said
    get_perms /a -> n0,r5,      commas are NULs, '' is nothing at all
    watch /a␣b t ~x             a space in a word; what follows ~ has no NUL
    1 post read /a              asks, and must not be answered yet
    1 send read /a              asks, and what is answered is heard later
    1 feed read /a              the same, which waits for a turn
    1 hear -> read=v /a:t       what has come since: replies with their type
    turn 250                    all turns until nothing is to do, at that time
    log -> quota.exceeded       events that the log has been told since (- is nothing)

Verbs below are the other things that happen; a test may add its own.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from tests.engine.support import OK, Client, Message, give, guest_of, home, run, told
from xsd.engine import Connection, Engine
from xsd.protocol.ops import Op

OPS: Final[dict[str, Op]] = {
    **{op.name.lower(): op for op in Op},
    "start": Op.TRANSACTION_START,
    "end": Op.TRANSACTION_END,
    "perms": Op.SET_PERMS,
    "reset": Op.RESET_WATCHES,
}
_STEP = re.compile(r"(?:(\d+|[abc]) )?(?:t(\d+) )?(\w+) *(.*)", re.DOTALL)

Verb = Callable[[Engine, Client, list[str]], str | None]
"""Does something; tells what the script has to say came of it."""


def shown(messages: list[Message], asked: int = 0) -> str:
    """Messages as a script has them."""
    found = []
    for op, payload in messages:
        text = "OK" if payload == OK else payload.decode("latin-1").replace("\0", ",")
        if op == Op.WATCH_EVENT:
            text = text.removesuffix(",").replace(",", ":")
        elif op == Op.ERROR:
            text = text.removesuffix(",")
        elif op != asked:
            text = f"{Op(op).name.lower()}={text}"
        found.append(text or "''")
    return " ".join(found)


def payload_of(op: Op, words: list[str]) -> bytes:
    """Strings with their NULs; a value of WRITE has none."""
    if op == Op.WRITE:
        text = words[0] + "\0" + " ".join(words[1:])
    else:
        strings = [("" if word == "''" else word) + "\0" for word in words]
        head, mark, rest = "".join(strings).partition("~")
        text = head + (rest[:-1] if mark else "")
    return text.replace("␣", " ").encode("latin-1")


def request(text: str) -> tuple[Op, bytes]:
    """A request as a script has it: its type and payload."""
    verb, *words = words_of(text)
    return OPS[verb], payload_of(OPS[verb], words)


def node(_: Engine, client: Client, words: list[str]) -> None:
    """A node with these permissions: node /a n0 r5."""
    give(client, words[0].encode(), payload_of(Op.SET_PERMS, words[1:]))


def homes(engine: Engine, _: Client, words: list[str]) -> None:
    """Homes that guests own."""
    dom0 = Client(engine)
    for domid in map(int, words):
        give(dom0, home(domid), b"n%d\0" % domid, b"")
    engine.disconnect(dom0.connection)


def limit(engine: Engine, _: Client, words: list[str]) -> None:
    """limit 1 nodes 5; -1 is all domains."""
    engine.set_limit(int(words[0]), words[1], int(words[2]))


def found(engine: Engine, _: Client, words: list[str]) -> None:
    """Domains are there without INTRODUCE."""
    for domid in map(int, words):
        engine.introduce_waiting(domid)


def come(engine: Engine, _: Client, words: list[str]) -> None:
    """A client of a domain that need not be introduced."""
    engine.connect(int(words[0]))


def state(_: Engine, client: Client, __: list[str]) -> str:
    """How far a connection's end is."""
    names = [name for name in ("closing", "lost") if getattr(client.connection, name)]
    return " ".join(names) or "open"


def numbers(connections: list[Connection]) -> str:
    """Which they are."""
    return " ".join(str(each.id) for each in connections)


def known(engine: Engine, _: Client, __: list[str]) -> str:
    """Which domains are."""
    return " ".join(str(each.domid) for each in engine.store.domains.all())


VERBS: dict[str, Verb] = {
    "come": come,
    "state": state,
    "known": known,
    "connections": lambda engine, _, __: numbers(engine.connections),
    "dirty": lambda engine, _, __: numbers(engine.take_dirty()),
    "anew": lambda engine, client, _: engine.restart(client.connection),
    "orphans": lambda engine, _, __: engine.keep_orphans(keep=True),
    "unanswered": lambda _, client, __: str(client.unanswered),
    "node": node,
    "homes": homes,
    "limit": limit,
    "found": found,
    "hear": lambda _engine, client, _: shown(client.take()),
    "log": lambda engine, _, __: " ".join(told(engine)),
    "turn": lambda engine, _, words: run(engine, *map(int, words)),
    "leave": lambda engine, client, _: engine.disconnect(client.connection),
    "gone": lambda engine, _, words: engine.domains_changed([*map(int, words)], []),
    "stop": lambda engine, _, words: engine.domains_changed([], [*map(int, words)]),
    "next": lambda engine, _, __: str(engine.next_ms),
    "wants_input": lambda _, client, __: str(client.connection.wants_input),
    "busy": lambda engine, _, __: str(engine.busy),
}


def play(
    engine: Engine,
    script: str,
    verbs: Mapping[str, Verb] | None = None,
    come: Callable[[str], Client] | None = None,
) -> None:
    """Do what a script says.

    Args:
        engine: Whom it is about.
        script: The steps.
        verbs: Those of this test.
        come: Has a client come when it does something first; None has all of them
            there from the start, dom0's first, and introduces guests.
    """
    table = {**VERBS, **(verbs or {})}
    steps: list[tuple[str, str, int, str, str, str]] = []
    for line in lines_of(script):
        left, _, right = line.partition("->")
        step = _STEP.fullmatch(left)
        assert step is not None, line
        who, tx_id, verb, rest = step.groups(default="0")
        is_request = verb in OPS and verb not in table
        expected = " ".join(words_of(right)) or ("OK" if is_request else "-")
        expected = "" if expected == "-" else expected.replace("␣", " ")
        steps.append((line, who, int(tx_id), verb, rest, expected))
    clients: dict[str, Client] = {}
    names = {"0", *[step[1] for step in steps]} if come is None else ()
    for who in sorted(names, key=_place):
        clients[who] = guest_of(engine, int(who)) if _place(who) > 3 else Client(engine)
    for line, who, tx, verb, rest, expected in steps:
        if come is not None and who not in clients:
            clients[who] = come(who)
        client = clients[who]
        if verb in table:
            got = table[verb](engine, client, words_of(rest)) or ""
        elif verb == "feed":
            engine.feed(client.connection, client.frame(*request(rest), tx))
            got = ""
        elif verb in {"post", "send"}:
            client.post(*request(rest), tx)
            got = shown(client.take()) if verb == "post" else ""
        else:
            op, payload = request(f"{verb} {rest}")
            got = shown(client.ask(op, payload, tx), op)
        assert got == expected, line


def lines_of(script: str) -> list[str]:
    """The steps of a script."""
    lines = [line.strip(" ") for line in re.split(r"[;\n]", script)]
    return [line for line in lines if line]


def words_of(text: str) -> list[str]:
    """What stands between spaces; other blanks are bytes like any."""
    return [word for word in text.split(" ") if word]


def _place(who: str) -> int:
    return 10 * int(who) if who.isdigit() else "0abc".index(who)
