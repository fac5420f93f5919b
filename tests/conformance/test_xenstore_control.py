"""Debian's xenstore-control: the commands that ours and Xen's C daemon share."""

import re
import shlex
from errno import EISDIR, ENOENT, ENOSPC
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.programs import Ran, Tools
from tests.differential.peers import Peer

QUOTAS: Final = {
    b"nodes": 1000,
    b"watches": 128,
    b"outstanding": 20,
    b"memory": 2621440,
    b"transactions": 10,
    b"transaction-nodes": 1024,
    b"path-max": 2048,
    b"node-size": 2048,
}
"""The limits that a daemon starts with, by the names that both daemons know."""


def table(text: bytes) -> dict[bytes, int]:
    """Read lines of the form `name : number text`."""
    rows = re.findall(rb"^([a-z-]+) *: +([0-9]+)\b", text, re.MULTILINE)
    return {name: int(number) for name, number in rows}


def is_refusal(ran: Ran) -> bool:
    """Tell whether the program was refused, which it answers with the help text."""
    return ran.code == 3 and ran.out == b"" and b"\ncheck\t\n" in ran.err


def test_help_lists_the_commands(xs: Tools) -> None:
    """One a line, a tab before the arguments."""
    ran = xs.control("help")

    commands = {line.partition(b"\t")[0] for line in ran.out.splitlines()}
    known = b"check log logfile memreport print quota quota-soft help"
    assert ran.code == 0
    assert set(known.split()) <= commands


def test_quota_prints_the_limits(xs: Tools) -> None:
    """A heading, then one a line; the texts behind the numbers are each daemon's."""
    ran = xs.control("quota")

    assert ran.code == 0
    assert ran.out.startswith(b"Quota settings:\n")
    assert QUOTAS.items() <= table(ran.out).items()
    assert table(xs.control("quota-soft").out) == {b"memory": 2097152}


def test_quota_of_a_domain_prints_what_it_uses(xs: Tools) -> None:
    """None of what ended with its client; an unknown domain is refused with ENOENT."""
    assert xs("watch", "-n", "1", "/t") == Ran(out=b"/t\n")

    ran = xs.control("quota", "0")

    used = table(ran.out)
    assert ran.out.startswith(b"Domain 0:\n")
    assert {b"nodes", b"watches", b"transactions"} <= set(used)
    assert (used[b"watches"], used[b"transactions"]) == (0, 0)
    told = b"Error 2 when trying to execute command.\n"
    assert xs.control("quota", "99") == Ran(3, err=told)


@pytest.mark.parametrize(
    ("command", "name", "before"),
    [("quota", "nodes", 1000), ("quota-soft", "memory", 2097152)],
)
def test_quota_set_changes_a_limit(
    xs: Tools, command: str, name: str, before: int
) -> None:
    """At once and for all domains."""
    assert xs.control(command, "set", name, "77") == Ran(out=b"OK\n")
    changed = table(xs.control(command).out)[name.encode()]
    assert xs.control(command, "set", name, str(before)) == Ran(out=b"OK\n")

    assert changed == 77
    assert table(xs.control(command).out)[name.encode()] == before


@pytest.mark.parametrize(
    "words",
    [
        *("unknown", "''", "check 0", "print", "print a b", "log x", "log on off"),
        *("log +nothing", "logfile", "logfile a b", "memreport a b", "memreport /"),
        *("memreport /no/such/directory/report", "quota set nodes"),
        *("quota set nodes 0", "quota set nodes -1", "quota set nodes x"),
        *("quota set unknown 3", "quota-soft set nodes 4", "quota-soft 0"),
    ],
)
def test_a_command_that_is_none_is_refused(xs: Tools, words: str) -> None:
    """Status 3, and the program prints what the daemon's `help` says."""
    assert is_refusal(xs.control(*shlex.split(words)))
    assert QUOTAS.items() <= table(xs.control("quota").out).items()


def settle(xs: Tools) -> None:
    """Have the log be complete: a reply may be sent before its line is written."""
    assert xs.control("check") == Ran(out=b"OK\n")


@pytest.mark.slow
def test_the_log_goes_to_another_file(fresh: Peer, tmp_path: Path) -> None:
    """From then on, and with each request; `log off` ends that."""
    xs, log = Tools(fresh.socket), tmp_path / "log"

    assert xs.control("logfile", str(log)) == Ran(out=b"OK\n")
    assert xs("write", "/t/traced", "1") == Ran()
    assert xs.control("log", "off") == Ran(out=b"OK\n")
    assert xs("write", "/t/secret", "1") == Ran()
    assert xs.control("log", "on") == Ran(out=b"OK\n")
    assert xs("write", "/t/again", "1") == Ran()
    settle(xs)

    text = log.read_bytes()
    assert b"/t/traced" in text
    assert b"/t/again" in text
    assert b"secret" not in text
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_a_report_goes_to_the_log_or_to_a_file(fresh: Peer, tmp_path: Path) -> None:
    """It is added to what is there."""
    xs, log, report = Tools(fresh.socket), tmp_path / "log", tmp_path / "report"

    assert xs.control("memreport", str(report)) == Ran(out=b"OK\n")
    once = report.read_bytes()
    assert xs.control("memreport", str(report)) == Ran(out=b"OK\n")
    assert once
    assert report.read_bytes().startswith(once)
    assert len(report.read_bytes()) > len(once)

    assert xs.control("logfile", str(log)) == Ran(out=b"OK\n")
    assert xs.control("memreport") == Ran(out=b"OK\n")
    settle(xs)
    assert re.search(rb"\b(bytes in|resident_bytes)\b", log.read_bytes())


@pytest.mark.slow
def test_a_report_without_a_log_in_a_file_is_printed(ours: Peer) -> None:
    """C wants a file to be named then."""
    ran = Tools(ours.socket).control("memreport")

    assert (ran.code, ran.err) == (0, b"")
    assert ran.out.startswith(b"resident_bytes   : ")
    assert re.search(rb"\n     0 +[0-9]+ ", ran.out)


@pytest.mark.slow
def test_switches_are_shown_and_set_one_by_one(ours: Peer) -> None:
    """As by the newest C daemon."""
    xs = Tools(ours.socket)

    assert b"\nwrl     : off\n" in xs.control("log").out
    for switch, shown in (("+wrl", b"on"), ("-wrl", b"off")):
        assert xs.control("log", switch) == Ran(out=b"OK\n")
        assert b"\nwrl     : " + shown + b"\n" in xs.control("log").out


@pytest.mark.slow
def test_a_log_that_cannot_be_opened_is_an_error(ours: Peer, tmp_path: Path) -> None:
    """The old one stays in use; a report that a disk does not take is one, too."""
    xs, log = Tools(ours.socket), tmp_path / "log"
    assert xs.control("logfile", str(log)) == Ran(out=b"OK\n")

    for words, errno in (
        (("logfile", "/no/such/directory/log"), ENOENT),
        (("logfile", str(tmp_path)), EISDIR),
        (("memreport", "/dev/full"), ENOSPC),
    ):
        told = b"Error %d when trying to execute command.\n" % errno
        assert xs.control(*words) == Ran(3, err=told)
    assert xs.control("print", "still here") == Ran(out=b"OK\n")
    settle(xs)
    assert b'"text": "still here"' in log.read_bytes()
