"""xsd.engine.control_log: what is traced, where the log goes, a report."""

from typing import final

import pytest

from tests.engine.script import Verb, play
from tests.engine.support import Client, guest_of, told
from xsd.engine import Engine
from xsd.engine.logbook import Logbook
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.ops import Op


@final
class Kept(Logbook):
    """A log whose keeper remembers what was wanted, and can refuse it."""

    def __init__(self) -> None:
        self.file = True
        self.wanted: list[tuple[bytes, str]] = []
        self.refusal: Errno | None = None

    @property
    def is_file(self) -> bool:
        return self.file

    def redirect(self, name: bytes) -> None:
        self.append(name, "")

    def append(self, name: bytes, text: str) -> None:
        if self.refusal is not None:
            raise XenStoreError(self.refusal, "cannot be opened", name)
        self.wanted.append((name, text))

    def process_bytes(self) -> dict[str, int]:
        return {"resident_bytes": 4096}


@pytest.fixture
def kept(engine: Engine) -> Kept:
    """The log of the engine."""
    kept = Kept()
    engine.keep_log(kept)
    return kept


def shown(dom0: Client) -> list[str]:
    """What `log` shows."""
    op, text = dom0.reply(Op.CONTROL, b"log\0")
    assert op == Op.CONTROL
    assert text.endswith(b"\n\0")
    return text[:-2].decode().split("\n")


def state(dom0: Client) -> str:
    """Whether anything is traced, and the switches that are on."""
    first, *switches = shown(dom0)
    is_on = first == "Tracing is on, its switches are:"
    assert is_on or first == "Tracing is off, its switches are:"
    on = [line.split()[0] for line in switches if line.endswith(": on")]
    return " ".join(["on" if is_on else "off", *on])


RULES = {
    "log on and off leave the switches": """
        state -> off obj io; control log on; state -> on obj io
        control log -io; state -> on obj; control log off; state -> off obj""",
    # Twice does no harm, and tracing as a whole stays as it is.
    "each switch is switched on and off": "control log -obj; control log -io"
    + "".join(
        f"""
        control log +{name}; state -> off {name}; control log +{name}
        state -> off {name}; control log -{name}; state -> off; control log -{name}
        """
        for name in ("obj", "io", "wrl", "acc", "tdb")
    ),
    # From the next request on; the reply to `log off` is still told.
    "switches have an effect once tracing is on": """
        control log +io; write /a; log -> -
        control log on; write /a; log -> io.request io.reply
        control log off; write /a; log -> io.request""",
    # The log has its name if that is worth telling; nothing is traced that was not.
    **{
        f"{command} to a file that cannot be had says why": f"""
            refuse ENOENT; control {command} /no/such -> ENOENT; paths -> -
            refuse EACCES; control {command} /no/such -> EACCES; paths -> /no/such
            refuse EINVAL; control {command} /no/such -> EINVAL; paths -> /no/such
            refuse ENOSPC; control {command} /no/such -> ENOSPC; paths -> /no/such
            state -> off obj io
        """
        for command in ("logfile", "memreport")
    },
}


@pytest.mark.parametrize("rule", RULES)
def test_log(engine: Engine, kept: Kept, rule: str) -> None:
    """Each rule as the script that shows it."""

    def paths(engine: Engine, _client: Client, _words: list[str]) -> str:
        found = [each.fields["path"] for each in engine.take_notices()]
        return " ".join(
            str(each, "latin-1") for each in found if isinstance(each, bytes)
        )

    verbs: dict[str, Verb] = {
        "state": lambda _, client, __: state(client),
        "wanted": lambda *_: str(len(kept.wanted)),
        "refuse": lambda _, __, words: setattr(kept, "refusal", Errno[words[0]]),
        "paths": paths,
    }
    play(engine, RULES[rule], verbs)


def test_log_shows_each_switch_in_c_s_order(dom0: Client, engine: Engine) -> None:
    """Also if its argument has no NUL and so is none, as for every command."""
    expected = (
        "Tracing is off, its switches are:\n"
        "obj     : on\nio      : on\nwrl     : off\nacc     : off\ntdb     : off\n"
    )
    for payload in (b"log\0", b"log\0on"):
        reply = dom0.reply(Op.CONTROL, payload)
        assert reply == (Op.CONTROL, expected.encode() + b"\0")
    assert told(engine) == []


WRONG = (
    b"log\0\0|log\0x\0|log\0ON\0|log\0io\0|log\0+\0|log\0-\0|log\0+nothing\0|log\0+IO\0|"
    b"log\0 +io\0|log\0+\xff\0|log\0on\0off\0|log\0+io\0+acc\0|logfile\0|"
    b"logfile\0a\0b\0|memreport\0a\0b\0"
).split(b"|")


@pytest.mark.parametrize("payload", WRONG)
def test_what_is_no_such_command_is_einval(
    dom0: Client, engine: Engine, kept: Kept, payload: bytes
) -> None:
    """And changes nothing."""
    before = shown(dom0)

    assert dom0.errno(Op.CONTROL, payload) is Errno.EINVAL
    assert shown(dom0) == before
    assert kept.wanted == []
    assert told(engine) == ["request.refused"]


def test_logfile_hands_the_name_on_and_traces(dom0: Client, kept: Kept) -> None:
    """As C's, whose log has nothing but traces."""
    dom0.ok(Op.CONTROL, b"logfile\0a \xff\nfile\0")
    assert kept.wanted == [(b"a \xff\nfile", "")]
    assert state(dom0) == "on obj io"
    assert told(dom0.engine) == ["io.request", "io.reply"]


def test_memreport_goes_into_a_log_that_is_a_file(dom0: Client, kept: Kept) -> None:
    """Whatever its level: totals, and a line for each domain."""
    engine = dom0.engine
    guest_of(engine, 5)
    dom0.ok(Op.CONTROL, b"memreport\0")
    total, *domains = engine.take_notices()

    assert all(n.wanted and n.level == "info" for n in (total, *domains))
    names = ("connection", "resident_bytes", "nodes", "connections")
    assert total.event == "memory.report"
    assert [total.fields[name] for name in names] == [dom0.connection.id, 4096, 5, 2]
    assert [(n.event, n.fields["domid"], n.fields["nodes"]) for n in domains] == [
        ("memory.domain", 0, 5),
        ("memory.domain", 5, 0),
    ]
    assert kept.wanted == []


def test_memreport_without_a_file_is_answered(dom0: Client, kept: Kept) -> None:
    """As text, up to a whole payload; then a file has to be named."""
    engine = dom0.engine
    kept.file = False

    def report() -> int:
        op, text = dom0.reply(Op.CONTROL, b"memreport\0")
        if op == Op.ERROR:
            return 0
        assert text.startswith(b"resident_bytes   :         4096\n\n")
        assert text.endswith(b"\n\0")
        return len(text)

    base = report()
    guest_of(engine, 5)
    row = report() - base
    most = (PAYLOAD_MAX - base) // row
    for domid in range(6, 5 + most):
        guest_of(engine, domid)
    assert report() == base + most * row
    assert told(engine) == []
    guest_of(engine, 5 + most)
    assert report() == 0

    (notice,) = engine.take_notices()
    size = base + (most + 1) * row - 1
    assert str(notice.fields["reason"]) == (
        f"a report of {size} bytes is too long to be an answer: name a file"
    )
    assert kept.wanted == []
    dom0.ok(Op.CONTROL, b"memreport\0/report\0")
    assert len(kept.wanted) == 1


def test_memreport_to_a_file_is_text(dom0: Client, engine: Engine, kept: Kept) -> None:
    """And the log has nothing of it."""
    dom0.ok(Op.CONTROL, b"memreport\0a \xfffile\0")

    ((name, text),) = kept.wanted
    assert name == b"a \xfffile"
    assert text.startswith("resident_bytes   :         4096\n\n")
    assert told(engine) == []
