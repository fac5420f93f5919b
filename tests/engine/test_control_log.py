"""xsd.engine.control_log: what is traced, where the log goes, a report."""

from typing import final

import pytest

from tests.engine.support import Client, guest_of
from tests.engine.support import told as events
from xsd.engine import Engine
from xsd.engine.logbook import Logbook
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op
from xsd.protocol.reply import OK

EINVAL = Errno.EINVAL


@final
class Kept(Logbook):
    """A log whose keeper remembers what was wanted, and can refuse it.

    Attributes:
        wanted: What was.
        refusal: With which errno it is refused.
    """

    def __init__(self, *, is_file: bool = True) -> None:
        self._is_file = is_file
        self.wanted: list[tuple[bytes, str]] = []
        self.refusal: Errno | None = None

    @property
    def is_file(self) -> bool:
        return self._is_file

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


def test_log_on_and_off_leave_the_switches(dom0: Client) -> None:
    """It shows each of them, in C's order, and whether they have any effect."""
    others = ["wrl     : off", "acc     : off", "tdb     : off"]
    off, on = (f"Tracing is {word}, its switches are:" for word in ("off", "on"))
    assert shown(dom0) == [off, "obj     : on", "io      : on", *others]
    for word, first in ((b"on", on), (b"-io", on), (b"off", off)):
        assert dom0.reply(Op.CONTROL, b"log\0" + word + b"\0") == (Op.CONTROL, OK)
        assert shown(dom0)[0] == first
    assert shown(dom0) == [off, "obj     : on", "io      : off", *others]


@pytest.mark.parametrize("name", ["obj", "io", "wrl", "acc", "tdb"])
def test_each_switch_is_switched_on_and_off(dom0: Client, name: str) -> None:
    """Twice does no harm, and tracing as a whole stays as it is."""
    for sign, state in (("+", "on"), ("+", "on"), ("-", "off"), ("-", "off")):
        words = f"log\0{sign}{name}\0".encode()
        assert dom0.reply(Op.CONTROL, words) == (Op.CONTROL, OK)
        assert f"{name:<8}: {state}" in shown(dom0)
        assert shown(dom0)[0] == "Tracing is off, its switches are:"


def test_switches_have_an_effect_once_tracing_is_on(
    dom0: Client, engine: Engine
) -> None:
    """From the next request on; the reply to `log off` is still told."""
    dom0.ok(Op.CONTROL, b"log\0+io\0")
    dom0.ok(Op.WRITE, b"/a\0")
    assert events(engine) == []

    dom0.ok(Op.CONTROL, b"log\0on\0")
    dom0.ok(Op.WRITE, b"/a\0")
    assert events(engine) == ["io.request", "io.reply"]

    dom0.ok(Op.CONTROL, b"log\0off\0")
    dom0.ok(Op.WRITE, b"/a\0")
    assert events(engine) == ["io.request"]


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

    assert dom0.errno(Op.CONTROL, payload) is EINVAL
    assert shown(dom0) == before
    assert kept.wanted == []
    assert events(engine) == ["request.refused"]


def test_an_argument_without_its_nul_is_none(dom0: Client, engine: Engine) -> None:
    """As for every command: `log` alone shows the switches."""
    before = shown(dom0)

    _op, text = dom0.reply(Op.CONTROL, b"log\0on")
    assert text[:-2].decode().split("\n") == before == shown(dom0)
    assert events(engine) == []


@pytest.mark.parametrize(
    "payload",
    [b"log\0", b"log\0on\0", b"log\0+tdb\0", b"logfile\0/log\0", b"memreport\0/r\0"],
)
def test_guests_have_no_say(engine: Engine, kept: Kept, payload: bytes) -> None:
    """What is traced holds what others wrote."""
    guest = guest_of(engine)

    assert guest.errno(Op.CONTROL, payload) is Errno.EACCES
    assert kept.wanted == []
    guest.start()
    assert events(engine) == ["request.refused"]


def test_logfile_hands_the_name_on_and_traces(
    dom0: Client, engine: Engine, kept: Kept
) -> None:
    """As C's, whose log has nothing but traces."""
    dom0.ok(Op.CONTROL, b"logfile\0a \xff\nfile\0")
    assert kept.wanted == [(b"a \xff\nfile", "")]
    assert shown(dom0)[0] == "Tracing is on, its switches are:"
    assert events(engine) == ["io.request", "io.reply"]


@pytest.mark.parametrize("errno", [Errno.ENOENT, Errno.EACCES, EINVAL, Errno.ENOSPC])
@pytest.mark.parametrize("command", [b"logfile", b"memreport"])
def test_a_file_that_cannot_be_had_says_why(
    dom0: Client, engine: Engine, kept: Kept, errno: Errno, command: bytes
) -> None:
    """The log has its name, and nothing is traced that was not."""
    kept.refusal = errno

    assert dom0.errno(Op.CONTROL, command + b"\0/no/such\0") is errno
    assert shown(dom0)[0] == "Tracing is off, its switches are:"
    notices = engine.take_notices()
    if errno is not Errno.ENOENT:
        assert [each.fields["path"] for each in notices] == [b"/no/such"]


def test_without_a_keeper_there_is_no_file(dom0: Client) -> None:
    """An engine on its own writes none."""
    assert dom0.errno(Op.CONTROL, b"logfile\0/log\0") is EINVAL
    assert dom0.errno(Op.CONTROL, b"memreport\0/report\0") is EINVAL
    assert dom0.errno(Op.CONTROL, b"memreport\0") is EINVAL


def test_memreport_goes_into_a_log_that_is_a_file(
    dom0: Client, engine: Engine, kept: Kept
) -> None:
    """Whatever its level: totals, and a line for each domain."""
    guest_of(engine, 5)
    dom0.ok(Op.CONTROL, b"memreport\0")
    total, *domains = engine.take_notices()

    assert all(n.wanted and n.level == "info" for n in (total, *domains))
    assert total.event == "memory.report"
    assert total.fields["connection"] == dom0.connection.id
    assert total.fields["resident_bytes"] == 4096
    assert (total.fields["nodes"], total.fields["connections"]) == (5, 2)
    assert [n.event for n in domains] == ["memory.domain"] * 2
    assert [n.fields["domid"] for n in domains] == [0, 5]
    assert [n.fields["nodes"] for n in domains] == [5, 0]
    assert kept.wanted == []


def test_memreport_needs_a_file_if_the_log_is_none(
    dom0: Client, engine: Engine
) -> None:
    """As C's without a trace file."""
    kept = Kept(is_file=False)
    engine.keep_log(kept)

    assert dom0.errno(Op.CONTROL, b"memreport\0") is EINVAL
    assert events(engine) == ["request.refused"]
    dom0.ok(Op.CONTROL, b"memreport\0/report\0")
    assert len(kept.wanted) == 1


def test_memreport_to_a_file_is_text(dom0: Client, engine: Engine, kept: Kept) -> None:
    """And the log has nothing of it."""
    dom0.ok(Op.CONTROL, b"memreport\0a \xfffile\0")

    ((name, text),) = kept.wanted
    assert name == b"a \xfffile"
    assert text.startswith("resident_bytes   :         4096\n\n")
    assert events(engine) == []
