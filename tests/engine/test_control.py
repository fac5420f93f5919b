"""xsd.engine.control: an operator's commands."""

from typing import final

import pytest

from tests.engine.script import play
from tests.engine.support import OK, Client, guest_at_home, guest_of
from xsd.engine import Engine
from xsd.engine.inputs import Input, Tape
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op

EINVAL = Errno.EINVAL


def run(dom0: Client, *words: bytes) -> str:
    """Run a command; its text without the NUL at the end."""
    op, text = dom0.reply(Op.CONTROL, b"".join([word + b"\0" for word in words]))
    assert op == Op.CONTROL
    assert text.endswith(b"\0")
    return text[:-1].decode()


WRONG = (
    b"|\0|help|unknown\0|HELP\0|help\0x\0|help\0\0|check\0x\0|print\0|print\0hello|"
    b"print\0a\0b\0|quota\0\0|quota\0x\0|quota\0max\0x\0|quota\0max\0-r\0-r\0|"
    b"quota\x005\x006\0|quota\0set\0|quota\0set\0nodes\0|quota\0set\0nodes\x000\0|"
    b"quota\0set\0nodes\0x\0|quota\0set\0nodes\0-5\0|quota\0set\0nodes\x001\x002\0|"
    b"quota\0set\0no\x005\0|quota\0set\0\xff\x005\0|quota-soft\x000\0|"
    b"quota-soft\0set\0|quota-soft\0set\0nodes\x005\0|quota-soft\0set\0memory\x000\0"
).split(b"|")


@pytest.mark.parametrize("payload", WRONG)
def test_what_is_no_command_is_einval(dom0: Client, payload: bytes) -> None:
    """And changes nothing."""
    before = run(dom0, b"quota") + run(dom0, b"quota-soft")

    assert dom0.errno(Op.CONTROL, payload) is EINVAL
    assert run(dom0, b"quota") + run(dom0, b"quota-soft") == before


RULES = {
    # The common one, from 1 on; what follows the digits is ignored, as by C.
    "quota is set": "control quota set nodes 5x; get_quota nodes -> 5,",
    "soft quota is set, of memory only": """
        control quota-soft set memory 5; get_quota soft-memory -> 5,
        get_quota memory -> 2621440,""",
    "quota of an unknown domain is enoent": "control quota 7 -> ENOENT",
}


@pytest.mark.parametrize("rule", RULES)
def test_commands(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule])


def test_help_lists_every_command(dom0: Client) -> None:
    """One a line, with a tabulator before the arguments, as C does."""
    text = run(dom0, b"help")

    names = [line.split("\t")[0] for line in text.splitlines()]
    assert " ".join(names) == (
        "check journal live-update log logfile memreport print quota quota-soft state"
        " help"
    )


@final
class Worn(Tape):
    """Keeps nothing, and says so if told to."""

    def __init__(self) -> None:
        self.said = "ok"

    def take(self, entry: Input) -> None:
        """Keep nothing."""

    def end_turn(self) -> None:
        """Nothing is to be made safe."""

    @property
    def condition(self) -> str:
        """What a test wants it to be."""
        return self.said


def test_journal_tells_how_well_changes_are_kept(engine: Engine, dom0: Client) -> None:
    """One line: off, ok, or what is wrong with it."""
    before = engine.tape
    engine.tape = None
    assert run(dom0, b"journal") == "off\n"
    engine.tape = worn = Worn()
    assert run(dom0, b"journal") == "ok\n"
    worn.said = "broken: no room"
    assert run(dom0, b"journal") == "broken: no room\n"
    assert dom0.errno(Op.CONTROL, b"journal\0x\0") is EINVAL
    engine.tape = before


def test_check_tells_the_log_each_fault(engine: Engine, dom0: Client) -> None:
    """The client is told OK, as by C. What has not been sent is recounted, too."""
    guest = guest_of(engine, 5)
    for _ in range(3):
        guest.post(Op.GET_DOMAIN_PATH, b"1\0")
    guest.connection.outbox.peek(1)
    engine.sent(guest.connection, 1)
    dom0.ok(Op.CONTROL, b"check\0")
    (checked,) = engine.take_notices()
    assert (checked.level, checked.event) == ("info", "store.checked")
    assert checked.fields == {"connection": dom0.connection.id, "faults": 0}
    usage = engine.store.usage
    kept = usage.unsent.of(5)
    usage.unsent.add(5, 1)
    usage.nodes.add(5, 3)
    dom0.ok(Op.CONTROL, b"check\0")
    usage.unsent.add(5, -1)
    usage.nodes.add(5, -3)
    engine.tape = None

    nodes, unsent, checked = engine.take_notices()
    for fault in (nodes, unsent):
        assert (fault.level, fault.event) == ("error", "store.inconsistent")
    assert "5: 3" in str(nodes.fields["fault"])
    assert unsent.fields["fault"] == (
        f"unsent bytes by domain are {{5: {kept}}}, kept as {{5: {kept + 1}}}"
    )
    assert checked.fields["faults"] == 2


def test_print_puts_a_line_into_the_log(dom0: Client) -> None:
    """Any bytes; the log makes them printable."""
    assert dom0.reply(Op.CONTROL, b"print\0hel lo\xff\n\0") == (Op.CONTROL, OK)
    (notice,) = dom0.engine.take_notices()
    assert (notice.level, notice.event) == ("info", "control.print")
    assert notice.fields == {"connection": 1, "text": b"hel lo\xff\n"}


def test_quota_shows_all_limits(dom0: Client) -> None:
    """A heading, and one a line; of soft ones there is one."""
    heading, *lines = run(dom0, b"quota").splitlines()

    assert heading == "Quota settings:"
    assert " ".join([line.split()[0].rstrip(":") for line in lines]) == (
        "nodes watches outstanding memory transactions transaction-nodes "
        "node-permissions path-max node-size"
    )
    assert lines[0] == "nodes            :     1000 Nodes a domain may own"
    dom0.ok(Op.CONTROL, b"quota\0set\0nodes\x005\0")
    assert "nodes            :        5 " in run(dom0, b"quota")
    assert run(dom0, b"quota-soft") == (
        "Quota settings:\nmemory           :  2097152 Bytes a domain may occupy\n"
    )


def test_quota_of_a_domain_shows_what_it_uses(engine: Engine) -> None:
    """And the most that it ever did; memory with what waits for it."""
    dom0, guest = Client(engine), guest_of(engine, 5)
    guest.ask(Op.WATCH, b"/a\0t\0")
    guest.start()
    guest.start()
    guest.ask(Op.UNWATCH, b"/a\0t\0")
    usage = engine.store.usage
    most = usage.memory.most[5]
    assert 0 == usage.memory.of(5) < most
    shown = (
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
    assert run(dom0, b"quota", b"5") == shown
    assert "nodes            :        5 " in run(dom0, b"quota", b"0")
    for _ in range(9):
        guest.post(Op.GET_DOMAIN_PATH, b"5\0")
    now = usage.memory_of(5)
    assert now > most
    assert f"memory           : {now:8} (max {now:8})" in run(dom0, b"quota", b"5")


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

    def maxima(_engine: Engine, client: Client, words: list[str]) -> str:
        text = run(client, b"quota", b"max", *map(str.encode, words))
        found = dict(line.split(":") for line in text.splitlines()[1:])
        return " ".join(
            found[f"{name:<17}"].split()[0] for name in ("nodes", "path-max")
        )

    script = """
        homes 5 6; 5 mkdir a/b; 5 rm a; 6 mkdir a/b/c; release 6
        max -> 4 5; max -r -> 4 5; max -> 1 0
    """
    play(engine, script, {"max": maxima})
