"""xsd.engine.dispatch: checks common to all requests, replies, events, notices."""

from typing import Final, final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.script import lines_of, play, request
from tests.engine.support import Client, guest_of, refusal
from tests.support.replaying import assert_replays
from xsd.engine import Connection, Engine, Notice, handlers
from xsd.engine.core import QUOTA_EVERY_MS, Core
from xsd.engine.dispatch import _TABLE
from xsd.engine.inputs import MemoryTape
from xsd.engine.logbook import Logbook
from xsd.engine.tracing import PATH_SHOWN
from xsd.protocol.errors import Errno
from xsd.protocol.ops import OP_LIMIT, Op
from xsd.store import Store, Transaction

NO_REQUESTS = [15, 16, 20, 27, 28, 99, 65535, 2**32 - 1]
"""Event, error, the former RESTRICT, and numbers that nothing has."""

GOOD: dict[Op, bytes] = dict(
    map(
        request,
        lines_of("""
            control help; directory /; read /; get_perms /; watch / t; unwatch / t
            start; end T; introduce 5 1 1; release 5; get_domain_path 5; write /a v
            mkdir /a; rm /a; perms / n0; is_domain_introduced 5; resume 5
            set_target 5 6; reset; directory_part / 0; get_feature; set_feature 5 0
            get_quota; set_quota nodes 999
        """),
    )
)
"""A payload that each type accepts."""

PRIVILEGED = {Op.CONTROL, Op.INTRODUCE, Op.RELEASE, Op.IS_DOMAIN_INTRODUCED, Op.RESUME}
PRIVILEGED |= {Op.SET_TARGET, Op.SET_FEATURE, Op.GET_QUOTA, Op.SET_QUOTA}
WITHOUT_TRANSACTION = [Op.WATCH, Op.UNWATCH]


def test_every_type_that_can_be_called_is_in_the_table() -> None:
    """None is answered ENOSYS by mistake."""
    callable_ops = [Op(op) for op in range(OP_LIMIT) if _TABLE[op] is not None]

    assert callable_ops == list(GOOD)
    assert set(range(OP_LIMIT)) - set(callable_ops) == {15, 16, 20}


@pytest.mark.parametrize("tx", [0, 5])
@pytest.mark.parametrize("malformed", [False, True])
def test_checks_come_in_c_s_order(engine: Engine, tx: int, *, malformed: bool) -> None:
    """The type, who may use it, the transaction, and only then the payload.

    A transaction is looked for though the type has no use for it.
    """
    dom0, guest = Client(engine), guest_of(engine)
    for client in (dom0, guest):
        for op in NO_REQUESTS:
            payload = b"x" * 4096 if malformed else b""
            assert client.errno(op, payload, tx) is Errno.ENOSYS
    for op, good in GOOD.items():
        payload = b"x" if malformed else good
        if op in PRIVILEGED:
            assert guest.errno(op, payload, tx) is Errno.EACCES
        if tx and op not in WITHOUT_TRANSACTION:
            assert dom0.errno(op, payload, tx) is Errno.ENOENT


@pytest.mark.pure_only
@pytest.mark.parametrize("op", GOOD)
def test_defect_of_a_handler_is_eio(
    dom0: Client, op: Op, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client has its reply, the log the exception, and life goes on (XSA-481)."""
    error = ZeroDivisionError("a defect")

    def broken(
        _core: Core, _connection: Connection, _payload: bytes, _tx: Transaction | None
    ) -> bytes:
        raise error

    monkeypatch.setattr(_TABLE[op], "handler", broken)
    if op in {Op.READ, Op.WRITE}:
        monkeypatch.setattr(handlers, op.name.lower(), broken)
    assert dom0.errno(op, GOOD[op]) is Errno.EIO
    monkeypatch.undo()

    (notice,) = dom0.engine.take_notices()
    assert (notice.level, notice.event) == ("error", "request.failed")
    assert notice.error is error
    assert notice.fields.pop("path", b"/") in {b"/", b"/a"}
    assert notice.fields == {
        "connection": 1,
        "domid": 0,
        "request": op.name,
        "request_id": 1,
        "transaction": 0,
    }
    assert dom0.reply(Op.READ, b"/tool\0") == (Op.READ, b"")


T4085 = "t" * 4085

RULES: dict[str, str] = {
    "transaction of another connection is unknown": """
        start -> 1,; a t1 read / -> ENOENT; t1 read / -> ''""",
    # Only an unknown id is an error.
    "requests that have no use for a transaction may name a known one": """
        start -> 1,; t1 control quota set nodes 9; t1 get_feature -> 15,
        t1 get_domain_path 5 -> /local/domain/5,; t1 get_quota nodes -> 9,""",
    # C ignores it too.
    "watch and unwatch only echo the transaction": """
        t77 watch /a t -> OK /a:t; t77 unwatch /a t""",
    # A client that watches what it writes; others get the event alone.
    "event comes before the reply of the request or commit that caused it": """
        watch /a t -> OK /a:t; a watch /a t -> OK /a:t; write /a v -> /a:t OK
        a hear -> /a:t; start -> 1,; t1 write /a v; t1 end T -> /a:t OK; a hear -> /a:t
    """,
    # A client that reads slowly is told once; what differs is told each.
    "equal event that waits is not sent twice": """
        watch /a t -> OK /a:t; a write /a 1; a write /a/b 1; a write /a 2
        a write /a/b 2; hear -> /a:t /a/b:t; a write /a 3; hear -> /a:t""",
    # Nested watches with one token are told of a node once, as by C.
    "equal events of one request are one": """
        watch / t -> OK /:t; watch /a t -> OK /a:t; watch /a/b t -> OK /a/b:t
        write /a/b v -> /a/b:t OK""",
    # Two of them may be about two domains.
    "events with at are never merged": """
        watch @introduceDomain t -> OK @introduceDomain:t; a introduce 5 1 1
        a introduce 6 1 1; hear -> @introduceDomain:t @introduceDomain:t""",
    # The request that caused it succeeds all the same (XSA-324).
    "event over 4096 bytes is dropped": f"""
        watch /a {T4085} -> OK /a:{T4085}; write /a/123456 -> /a/123456:{T4085} OK
        write /a/1234567""",
    # GET_PERMS of a list whose text is longer than the request that set it.
    "e2big of the encoder is a reply too": f"""
        perms / n0 {"r0x80000000 " * 340}; get_perms / -> E2BIG""",
}


@pytest.mark.parametrize("rule", RULES)
def test_replies_and_events(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule])


def refused(dom0: Client, op: int, payload: bytes, tx: int = 0) -> list[Notice]:
    """Send a request that is refused; what the log is told."""
    dom0.errno(op, payload, tx)
    return dom0.engine.take_notices()


def test_refusal_is_told_with_its_particulars(dom0: Client) -> None:
    """An operator can see who asked for what and why it was refused."""
    (notice,) = refused(dom0, Op.READ, b"/bad path\0")

    assert (notice.level, notice.event) == ("info", "request.refused")
    assert notice.error is None
    assert notice.fields == {
        "connection": 1,
        "domid": 0,
        "request": "READ",
        "request_id": 1,
        "transaction": 0,
        "errno": "EINVAL",
        "reason": "not a path",
        "path": b"/bad path",
    }
    for op in (20, 99):
        (notice,) = refused(dom0, op, b"")
        assert (notice.fields["request"], notice.fields["errno"]) == (str(op), "ENOSYS")
        assert "path" not in notice.fields


def conflict(dom0: Client) -> list[Notice]:
    """Have a commit refused; what the log is told."""
    tx = dom0.start()
    dom0.ask(Op.READ, b"/\0", tx)
    dom0.ok(Op.WRITE, b"/\0v")
    return refused(dom0, Op.TRANSACTION_END, b"T\0", tx)


def test_what_clients_meet_all_day_is_no_refusal_for_the_log(dom0: Client) -> None:
    """To ask whether something exists is no mistake; a conflict is for debugging."""
    dom0.ask(Op.WATCH, b"/\0t\0")

    assert refused(dom0, Op.READ, b"/no\0") == []
    assert refused(dom0, Op.WATCH, b"/\0t\0") == []
    assert refused(dom0, Op.READ, b"/\0", 9) == []
    (notice,) = conflict(dom0)
    assert (notice.level, notice.event) == ("debug", "request.refused")
    assert (notice.fields["errno"], notice.fields["path"]) == ("EAGAIN", b"/")
    # Xen's library asks for a directory in parts when it is told so.
    for number in range(30):
        dom0.ok(Op.WRITE, b"/big/%0200d\0" % number)
    assert refused(dom0, Op.DIRECTORY, b"/big\0") == []


ROOT_OF_DOM0: Final = "nearest parent / (n0)"
REASONS: Final = {
    "5 control help": "EACCES only for dom0",
    "5 introduce 6 1 1": "EACCES only for dom0",
    "5 get_quota": "EACCES only for dom0",
    "5 get_feature 6": "EACCES features of another domain are told dom0 only",
    "5 read /a": "EACCES needs read; n0 gives dom5 nothing",
    "5 t1 mkdir /b": f"EACCES node is missing; {ROOT_OF_DOM0} gives dom5 no write",
    "5 perms /a n5": "EACCES only its owner dom0 may (n0)",
    "5 unwatch /a t": "ENOENT no watch on this path with the token 't'",
    "unwatch /a t": "ENOENT no watch on this path with the token 't'",
}
"""What a guest or dom0 asks for, and what the log has of it at the level info."""


@pytest.mark.parametrize("asked", REASONS)
def test_a_reason_says_which_right_is_missing_where(engine: Engine, asked: str) -> None:
    """The log is the host's; the client is told the errno only."""
    errno, _, reason = REASONS[asked].partition(" ")
    play(engine, f"node /a n0; 5 start -> 1,; log -> -; {asked} -> {errno}")
    (notice,) = engine.take_notices()

    assert (notice.level, notice.event) == ("info", "request.refused")
    assert (notice.fields["errno"], str(notice.fields["reason"])) == (errno, reason)


@final
class Debugged(Logbook):
    """A log of the level debug."""

    @property
    def is_file(self) -> bool:
        return False

    @property
    def tells_all(self) -> bool:
        return True

    def redirect(self, name: bytes) -> None:
        raise AssertionError

    def append(self, name: bytes, text: str) -> None:
        raise AssertionError

    def process_bytes(self) -> dict[str, int]:
        return {}


@pytest.mark.parametrize("traced", [False, True])
def test_what_is_asked_all_day_has_a_reason_for_debugging(
    dom0: Client, *, traced: bool
) -> None:
    """With the level debug, or beside the requests that are traced."""
    engine = dom0.engine
    dom0.ask(Op.WATCH, b"/\0t\0")
    if traced:
        engine.trace(["io"], on=True)
    else:
        engine.keep_log(Debugged())
    told = [
        notice
        for op, payload in ((Op.READ, b"/no/such\0"), (Op.WATCH, b"/\0t\0"))
        for notice in refused(dom0, op, payload)
        if notice.event == "request.refused"
    ]

    assert [(each.level, each.wanted) for each in told] == [("debug", traced)] * 2
    assert [str(each.fields["reason"]) for each in told] == [
        "no such node; nearest parent is /",
        "a watch on this path with this token is there already",
    ]


def test_a_path_is_told_up_to_its_first_bytes(dom0: Client) -> None:
    """A line of the log is bounded, whatever a client sends."""
    (notice,) = refused(dom0, Op.READ, b"/" + b"\xff" * 3000 + b"\0")

    assert notice.fields["path"] == b"/" + b"\xff" * (PATH_SHOWN - 1)


OPS = st.one_of(st.sampled_from(list(Op)), st.integers(0, 2**32 - 1))
PATHS = st.sampled_from(
    [b"/", b"/a", b"/a/b", b"rel", b"/a/", b"//", b"@", b"", b"/local/domain/", b"@x"]
)
REST = st.sampled_from(
    [b"", b"\0", b"t\0", b"n0\0", b"0\0", b"1\0", b"x", b"n1\0r0\0", b"1\x001\0"]
)
REQUESTS = st.tuples(
    OPS,
    st.one_of(
        st.builds(bytes.__add__, PATHS.map(lambda path: path + b"\0"), REST),
        REST,
        st.binary(max_size=60),
    ),
    st.sampled_from([0, 0, 0, 1, 2, 99]),
)


@pytest.mark.slow
@settings(deadline=None)
@given(requests=st.lists(st.tuples(st.integers(0, 2), REQUESTS), max_size=40))
def test_every_request_has_exactly_one_reply(
    requests: list[tuple[int, tuple[int, bytes, int]]],
) -> None:
    """Whatever is asked by whom, in the order of the requests, and never EIO.

    What was on the tape makes an equal engine.
    """
    engine = Engine(Store())
    engine.tape = MemoryTape()
    clients = [Client(engine), guest_of(engine), Client(engine)]
    for number, (op, payload, tx) in requests:
        client = clients[number]
        if client.connection.lost:
            continue
        messages = client.ask(op, payload, tx)
        assert client.unanswered == 0
        assert refusal(Errno.EIO) not in messages
    assert all(notice.error is None for notice in engine.take_notices())
    assert_replays(engine)


def test_the_first_refusal_for_a_quota_is_told(engine: Engine) -> None:
    """With who, what and how much; others after some time, with how many there were."""
    guest, dom0 = guest_of(engine, 5), Client(engine)
    engine.set_limit(5, "watches", 1)
    guest.ask(Op.WATCH, b"/a\0t\0")
    for _ in range(3):
        guest.errno(Op.WATCH, b"/b\0t\0")
    (notice,) = engine.take_notices()

    assert (notice.level, notice.event) == ("warning", "quota.exceeded")
    names = ("domid", "quota", "limit", "request", "count")
    assert [notice.fields[each] for each in names] == [5, "watches", 1, "WATCH", 1]
    told: list[object] = []
    for now_ms in (QUOTA_EVERY_MS - 1, QUOTA_EVERY_MS, QUOTA_EVERY_MS + 1):
        engine.tell_time(now_ms)
        guest.errno(Op.WATCH, b"/b\0t\0")
        told += [each.fields["count"] for each in engine.take_notices()]
    assert told == [5]
    dom0.ok(Op.RELEASE, b"5\0")
    assert engine.core.over_quota == {}


X20, X30, X60 = ("x" * count for count in (20, 30, 60))
HOME: Final = b"/local/domain/5"
LIMITS: Final[dict[str, tuple[str, dict[str, object]]]] = {
    # A script whose last request is refused, and what is told of it.
    "a watch": (
        "limit 5 watches 1; 5 watch a t -> OK a:t; 5 watch rel t -> ENOSPC",
        {"path": b"rel", "watched": "1 in /local/domain/*"},
    ),
    "a node": (
        "limit 5 nodes 2; 5 write a/b v -> ENOSPC",
        {"path": HOME + b"/a/b"},
    ),
    "permissions": (
        "limit 5 node-permissions 1; 5 write a v; 5 perms a n5 r0 -> ENOSPC",
        {"path": b"a"},
    ),
    "what a transaction looks at": (
        """
        limit 5 transaction-nodes 2; 5 start -> 1,; 5 t1 read a -> ENOENT
        5 t1 read b -> ENOSPC
        """,
        {"path": HOME + b"/b"},
    ),
    "a value": (
        f"limit 5 node-size 50; 5 write a v; 5 write a {X60} -> ENOSPC",
        {"path": HOME + b"/a", "size": 24 + 60},
    ),
    "a new node": (
        f"limit 5 node-size 50; 5 start -> 1,; 5 t1 write a/b {X60} -> ENOSPC",
        {"path": HOME + b"/a/b", "size": 24 + 60},
    ),
    "a directory that is full": (
        f"limit 5 node-size 48; 5 mkdir d/{X20}; 5 mkdir d/new/x -> ENOSPC",
        {"path": HOME + b"/d/new/x", "node": HOME + b"/d", "size": 24 + 21 + 4},
    ),
    "a directory on the way": (
        f"limit 5 node-size 50; 5 mkdir d/{X30}/y -> ENOSPC",
        {
            "path": HOME + f"/d/{X30}/y".encode(),
            "node": HOME + b"/d",
            "size": 24 + 31,
        },
    ),
    "a commit": (
        """
        5 mkdir d; 5 start -> 1,; 5 start -> 2,; 5 t1 mkdir d/one; 5 t2 mkdir d/two
        limit 5 node-size 30; 5 t1 end T; 5 t2 end T -> ENOSPC
        """,
        {"path": HOME + b"/d", "size": 24 + 4 + 4},
    ),
    "memory of another's": (
        "found 6; node /o n6 b5; limit 6 memory 1; 5 write /o vv -> ENOMEM",
        {"path": b"/o", "owner": 6},
    ),
}


@pytest.mark.parametrize("case", LIMITS)
def test_a_refusal_for_a_quota_says_what_it_is_about(engine: Engine, case: str) -> None:
    """The path; node, size and owner where they are not those of the request."""
    script, expected = LIMITS[case]
    play(engine, f"homes 5; {script}")
    (notice,) = [n for n in engine.take_notices() if n.event == "quota.exceeded"]

    assert notice.fields["domid"] == 5
    named = {"path", "node", "size", "owner", "watched"} & set(notice.fields)
    assert {name: notice.fields[name] for name in named} == expected
