"""xsd.engine.dispatch: checks common to all requests, replies, events, notices."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.script import lines_of, play, request
from tests.engine.support import Client, guest_of, refusal
from tests.support.replaying import assert_replays
from xsd.engine import Connection, Engine, Notice
from xsd.engine.core import QUOTA_EVERY_MS, UNSENT_MAX, Core
from xsd.engine.dispatch import _TABLE, PATH_SHOWN
from xsd.engine.inputs import MemoryTape
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
    assert dom0.errno(op, GOOD[op]) is Errno.EIO
    monkeypatch.undo()

    (notice,) = dom0.engine.take_notices()
    assert (notice.level, notice.event) == ("error", "request.failed")
    assert notice.error is error
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


def test_client_that_does_not_read_its_events_is_cut_off(engine: Engine) -> None:
    """Above UNSENT_MAX; the one that causes them is served on, and it is logged."""
    idle, writer = Client(engine), Client(engine)
    token = b"t" * 4000
    idle.ask(Op.WATCH, b"/a\0" + token + b"\0")
    engine.take_dirty()
    number = 0
    while not idle.connection.lost:
        writer.ok(Op.WRITE, b"/a/%d\0v" % number)
        number += 1

    assert UNSENT_MAX < idle.connection.outbox.size < UNSENT_MAX + 5000
    assert idle.connection in engine.take_dirty()
    (notice,) = engine.take_notices()
    assert (notice.level, notice.event) == ("warning", "connection.too_slow")
    assert notice.fields["connection"] == idle.connection.id
    # Nothing is queued for it any more.
    size = idle.connection.outbox.size
    writer.ok(Op.WRITE, b"/a/more\0v")
    assert idle.connection.outbox.size == size
    assert engine.take_notices() == []


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
