"""xsd.engine.control: an operator's commands."""

import pytest

from tests.engine.support import OK, Client, guest_at_home, guest_of
from xsd.engine import Engine
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store import Store

EINVAL, ENOENT = Errno.EINVAL, Errno.ENOENT


def command(*words: bytes) -> bytes:
    """The payload of a command."""
    return b"".join([word + b"\0" for word in words])


def run(dom0: Client, *words: bytes) -> str:
    """Run a command; its text without the NUL at the end."""
    op, text = dom0.reply(Op.CONTROL, command(*words))
    assert op == Op.CONTROL
    assert text.endswith(b"\0")
    return text[:-1].decode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0",
        b"help",
        b"unknown\0",
        b"HELP\0",
        b"help\0x\0",
        b"help\0\0",
        b"check\0x\0",
        b"print\0",
        b"print\0hello",
        b"print\0a\0b\0",
        b"quota\0\0",
        b"quota\0x\0",
        b"quota\0max\0x\0",
        b"quota\0max\0-r\0-r\0",
        b"quota\x005\x006\0",
        b"quota\0set\0",
        b"quota\0set\0nodes\0",
        b"quota\0set\0nodes\x000\0",
        b"quota\0set\0nodes\0x\0",
        b"quota\0set\0nodes\0-5\0",
        b"quota\0set\0nodes\x001\x002\0",
        b"quota\0set\0no\x005\0",
        b"quota\0set\0\xff\x005\0",
        b"quota-soft\x000\0",
        b"quota-soft\0set\0",
        b"quota-soft\0set\0nodes\x005\0",
        b"quota-soft\0set\0memory\x000\0",
    ],
)
def test_unknown_command_or_wrong_argument_is_einval(
    dom0: Client, payload: bytes
) -> None:
    """And changes nothing."""
    before = run(dom0, b"quota") + run(dom0, b"quota-soft")

    assert dom0.errno(Op.CONTROL, payload) is EINVAL
    assert run(dom0, b"quota") + run(dom0, b"quota-soft") == before


def test_guest_has_no_control(engine: Engine) -> None:
    """Not even help."""
    assert guest_of(engine).errno(Op.CONTROL, b"help\0") is Errno.EACCES


def test_help_lists_every_command(dom0: Client) -> None:
    """One a line, with a tabulator before the arguments, as C does."""
    text = run(dom0, b"help")

    assert [line.split("\t")[0] for line in text.splitlines()] == [
        "check",
        "log",
        "logfile",
        "memreport",
        "print",
        "quota",
        "quota-soft",
        "help",
    ]


def test_check_of_a_sound_store_is_ok(dom0: Client) -> None:
    """The log has that it was done."""
    assert dom0.reply(Op.CONTROL, b"check\0") == (Op.CONTROL, OK)
    (notice,) = dom0.engine.take_notices()
    assert (notice.level, notice.event) == ("info", "store.checked")
    assert notice.fields == {"connection": 1, "faults": 0}


def test_check_tells_the_log_each_fault() -> None:
    """The client is told OK, as by C."""
    dom0 = Client(Engine(Store()))
    dom0.engine.store.usage.nodes.add(5, 3)

    assert dom0.reply(Op.CONTROL, b"check\0") == (Op.CONTROL, OK)
    fault, checked = dom0.engine.take_notices()
    assert (fault.level, fault.event) == ("error", "store.inconsistent")
    assert "5: 3" in str(fault.fields["fault"])
    assert checked.fields["faults"] == 1


def test_check_recounts_what_waits_for_guests(engine: Engine) -> None:
    """The store does not know what has not been sent."""
    dom0, guest = Client(engine), guest_of(engine, 5)
    for _ in range(3):
        guest.post(Op.GET_DOMAIN_PATH, b"1\0")
    guest.connection.outbox.peek(1)
    engine.sent(guest.connection, 1)
    dom0.ok(Op.CONTROL, b"check\0")
    assert [each.level for each in engine.take_notices()] == ["info"]
    unsent = engine.store.usage.unsent
    kept = unsent.of(5)
    unsent.add(5, 1)
    dom0.ok(Op.CONTROL, b"check\0")
    unsent.add(5, -1)

    fault = engine.take_notices()[0].fields["fault"]
    assert (
        fault == f"unsent bytes by domain are {{5: {kept}}}, kept as {{5: {kept + 1}}}"
    )


def test_print_puts_a_line_into_the_log(dom0: Client) -> None:
    """Any bytes; the log makes them printable."""
    assert dom0.reply(Op.CONTROL, b"print\0hel lo\xff\n\0") == (Op.CONTROL, OK)
    (notice,) = dom0.engine.take_notices()
    assert (notice.level, notice.event) == ("info", "control.print")
    assert notice.fields == {"connection": 1, "text": b"hel lo\xff\n"}


def test_quota_shows_all_limits(dom0: Client) -> None:
    """A heading, and one a line."""
    heading, *lines = run(dom0, b"quota").splitlines()

    assert heading == "Quota settings:"
    assert [line.split()[0].rstrip(":") for line in lines] == [
        "nodes",
        "watches",
        "outstanding",
        "memory",
        "transactions",
        "transaction-nodes",
        "node-permissions",
        "path-max",
        "node-size",
    ]
    assert lines[0] == "nodes            :     1000 Nodes a domain may own"


def test_quota_is_set(dom0: Client) -> None:
    """The common one, from 1 on; what follows the digits is ignored, as by C."""
    assert dom0.reply(Op.CONTROL, b"quota\0set\0nodes\x005x\0") == (Op.CONTROL, OK)
    assert dom0.reply(Op.GET_QUOTA, b"nodes\0") == (Op.GET_QUOTA, b"5\0")
    assert "nodes            :        5 " in run(dom0, b"quota")


def test_quota_of_a_domain_shows_what_it_uses(engine: Engine) -> None:
    """ENOENT for an unknown one."""
    dom0 = Client(engine)
    guest = guest_of(engine, 5)
    guest.ask(Op.WATCH, b"/a\0t\0")
    guest.start()
    guest.start()

    assert dom0.errno(Op.CONTROL, b"quota\x007\0") is ENOENT
    guest.ask(Op.UNWATCH, b"/a\0t\0")
    size = engine.store.usage.memory.of(5)
    most = engine.store.usage.memory.most[5]
    assert 0 == size < most
    assert run(dom0, b"quota", b"5") == (
        "Domain 5:\n"
        "nodes            :        0 (max        0)\n"
        "watches          :        0 (max        1)\n"
        "outstanding      :        0 (max        2)\n"
        f"memory           :        0 (max {most:8})\n"
        "transactions     :        2 (max        2)\n"
        "transaction-nodes:        - (max        0)\n"
        "node-permissions :        - (max        0)\n"
        "path-max         :        - (max        2)\n"
        "node-size        :        - (max        0)\n"
    )
    assert "nodes            :        5 " in run(dom0, b"quota", b"0")


def test_every_quota_has_its_maximum(engine: Engine) -> None:
    """Of what was asked for, and of what was used; dom0's does not count."""
    dom0 = Client(engine)
    guest = guest_at_home(engine, 5)
    for name in (b"long-name", b"b", b"c"):
        guest.ok(Op.WRITE, name + b"\0" + b"x" * 76)
    guest.ok(Op.RM, b"b\0")
    guest.ok(Op.SET_PERMS, b"c\0n5\0r1\0r2\0r3\0")
    number = guest.start()
    for name in (b"c", b"d"):
        guest.ask(Op.READ, name + b"\0", number)
    for number in range(9):
        dom0.ok(Op.WATCH, b"/%d\0t\0" % number, 0)
    guest.ask(Op.WATCH, b"b\0t\0")
    maxima = run(dom0, b"quota", b"max").splitlines()

    assert maxima.pop(4).startswith("memory           : ")
    assert [line[:27] for line in maxima] == [
        "Max used quota values:",
        "nodes            :        4",
        "watches          :        1",
        "outstanding      :        2",
        "transactions     :        1",
        "transaction-nodes:        3",
        "node-permissions :        4",
        "path-max         :        9",
        f"node-size        : {16 + 4 * 8 + 76:8}",
    ]


def test_maxima_begin_anew_once_they_were_shown(engine: Engine) -> None:
    """With what is in use at that time; also those of domains that are gone."""
    dom0 = Client(engine)
    guest = guest_at_home(engine, 5)
    guest.ok(Op.MKDIR, b"a/b\0")
    guest.ok(Op.RM, b"a\0")
    other = guest_at_home(engine, 6)
    other.ok(Op.MKDIR, b"a/b/c\0")
    dom0.ok(Op.RELEASE, b"6\0")

    assert "nodes            :        4 " in run(dom0, b"quota", b"max")
    assert "nodes            :        4 " in run(dom0, b"quota", b"max", b"-r")
    assert "nodes            :        1 " in run(dom0, b"quota", b"max")
    assert "path-max         :        0 " in run(dom0, b"quota", b"max")


def test_soft_quota_is_shown_and_set(dom0: Client) -> None:
    """There is one of memory only."""
    assert run(dom0, b"quota-soft") == (
        "Quota settings:\nmemory           :  2097152 Bytes a domain may occupy\n"
    )
    assert dom0.reply(Op.CONTROL, b"quota-soft\0set\0memory\x005\0") == (
        Op.CONTROL,
        OK,
    )
    assert dom0.reply(Op.GET_QUOTA, b"soft-memory\0") == (Op.GET_QUOTA, b"5\0")
    assert dom0.reply(Op.GET_QUOTA, b"memory\0") == (Op.GET_QUOTA, b"2621440\0")
