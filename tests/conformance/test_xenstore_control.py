"""Debian's xenstore-control: the commands that ours and Xen's C daemon share."""

import re
from typing import Final

import pytest

from tests.conformance.programs import Ran, Tools

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
    return {
        name: int(number)
        for name, number in re.findall(
            rb"^([a-z-]+) *: +([0-9]+)\b", text, re.MULTILINE
        )
    }


def is_refusal(ran: Ran) -> bool:
    """Tell whether the program was refused, which it answers with the help text."""
    return ran.code == 3 and ran.out == b"" and b"\ncheck\t\n" in ran.err


def test_check_finds_nothing_wrong(xs: Tools) -> None:
    """The whole store is looked over; OK means that this was done."""
    assert xs("write", "/t/a", "1", "/t/b", "2") == Ran()

    assert xs.control("check") == Ran(out=b"OK\n")


def test_help_lists_the_commands(xs: Tools) -> None:
    """One a line, a tab before the arguments."""
    ran = xs.control("help")

    commands = [line.partition(b"\t")[0] for line in ran.out.splitlines()]
    assert ran.code == 0
    assert {b"check", b"print", b"quota", b"quota-soft", b"help"} <= set(commands)


@pytest.mark.parametrize("text", ["hello", "", "two\nlines \x1b[31m"])
def test_print_takes_any_text(xs: Tools, text: str) -> None:
    """For the log; the client is told nothing but OK."""
    assert xs.control("print", text) == Ran(out=b"OK\n")


def test_quota_prints_the_limits(xs: Tools) -> None:
    """A heading, then one a line; the texts behind the numbers are each daemon's."""
    ran = xs.control("quota")

    assert ran.code == 0
    assert ran.out.startswith(b"Quota settings:\n")
    assert QUOTAS.items() <= table(ran.out).items()
    assert table(xs.control("quota-soft").out) == {b"memory": 2097152}


def test_quota_of_a_domain_prints_what_it_uses(xs: Tools) -> None:
    """Open transactions and watches are none, as clients that end take theirs away."""
    assert xs("watch", "-n", "1", "/t") == Ran(out=b"/t\n")

    ran = xs.control("quota", "0")

    used = table(ran.out)
    assert ran.out.startswith(b"Domain 0:\n")
    assert {b"nodes", b"watches", b"transactions"} <= set(used)
    assert (used[b"watches"], used[b"transactions"]) == (0, 0)


def test_quota_of_an_unknown_domain_is_refused(xs: Tools) -> None:
    """With ENOENT."""
    assert xs.control("quota", "99") == Ran(
        3, err=b"Error 2 when trying to execute command.\n"
    )


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
        ["unknown"],
        [""],
        ["check", "0"],
        ["print"],
        ["print", "a", "b"],
        ["quota", "set", "nodes"],
        ["quota", "set", "nodes", "0"],
        ["quota", "set", "nodes", "-1"],
        ["quota", "set", "nodes", "x"],
        ["quota", "set", "unknown", "3"],
        ["quota-soft", "set", "nodes", "4"],
        ["quota-soft", "0"],
    ],
)
def test_a_command_that_is_none_is_refused(xs: Tools, words: list[str]) -> None:
    """Status 3, and the program prints what the daemon's `help` says."""
    assert is_refusal(xs.control(*words))
    assert QUOTAS.items() <= table(xs.control("quota").out).items()


def test_without_a_command_it_prints_its_usage(xs: Tools) -> None:
    """No request is made."""
    ran = xs.control()

    assert ran.code == 2
    assert ran.err.startswith(b"Usage:\n")
