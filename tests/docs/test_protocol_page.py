"""docs/protocol.md has the messages, errors and numbers that the code has."""

import re
from typing import Final

import pytest

from tests.docs.pages import ROOT
from xsd.engine.contest import TURN_MS
from xsd.engine.progress import PROTECT_AFTER
from xsd.engine.protection import PROTECT_MS
from xsd.protocol import limits, ops, ring
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.protocol.request import parse_request
from xsd.store.quota import DEFAULTS
from xsd.testing import InProcess

PAGE: Final = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
MESSAGE: Final = re.compile(
    r"^\| (\d+) \| ([A-Z_]+) \| (.*?) \| (.*?) ?\| (.*?) ?\|$", re.MULTILINE
)
MESSAGES: Final = MESSAGE.findall(PAGE.replace(r"\|", "+"))
"""Number, name, payload, reply and remark of each."""

ARGUMENTS: Final = {
    **dict.fromkeys(("depth", "id", "domid", "gfn", "port", "number"), b"1"),
    "command": b"check",
    "argument...": b"",
    "path": b"/a",
    "token": b"t",
    "value": b"v",
    "permission": b"n0",
    "offset": b"0",
    "name": b"nodes",
    "T": b"T",
}


def test_every_message_is_in_the_table() -> None:
    """With its number, in the order of the numbers."""
    assert [(int(number), name) for number, name, *_ in MESSAGES] == [
        (op.value, op.name) for op in Op
    ]


def payloads_of(text: str) -> list[bytes]:
    """A payload as the table writes it, without what is optional and with it."""
    found = []
    for wanted in (re.sub(r"\\\[.*\\\]", "", text), re.sub(r"\\[\[\]]", "", text)):
        plain = wanted.split(" or ")[0].replace("`", "").removesuffix("...")
        if plain == "anything":
            found.append(b"")
            continue
        parts = [part for part in plain.split("+") if part]
        payload = b"".join(
            ARGUMENTS[part.removesuffix(r"\0")] + (b"\0" if part.endswith("0") else b"")
            for part in parts
            if part not in {r"\0", r"argument\0"}
        )
        found.append(b"\0" if plain == r"\0" else payload)
    return found


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        (name, payload)
        for _, name, text, *_ in MESSAGES
        if name not in {"WATCH_EVENT", "ERROR"}
        for payload in payloads_of(text)
    ],
)
def test_payloads_of_the_table_are_understood(name: str, payload: bytes) -> None:
    """With all their optional parts, and without."""
    assert type(parse_request(Op[name], payload)).__name__ == "".join(
        word.capitalize() for word in name.split("_")
    )


@pytest.mark.parametrize(("number", "remark"), [(m[0], m[4]) for m in MESSAGES])
def test_privileged_messages_are_marked(number: str, remark: str) -> None:
    """A guest is told EACCES of them, before anything else."""
    with InProcess() as xenstore:
        refused = xenstore.guest(1).errno(int(number))
    assert (refused is Errno.EACCES) == remark.startswith("*dom0*")


def test_every_error_is_told_of() -> None:
    """In the table, or as one that is not used."""
    table = re.findall(r"^\| (E[A-Z0-9]+) \|", PAGE, re.MULTILINE)
    unused = re.search(r"^(E.*) are names of the protocol", PAGE, re.MULTILINE)
    assert unused is not None

    assert set(table) | set(re.findall(r"E[A-Z0-9]+", unused[1])) == {
        errno.name for errno in Errno
    }
    sources = [*(ROOT / "xsd").rglob("*.py"), *(ROOT / "protocol").rglob("*.py")]
    sources.remove(ROOT / "protocol" / "errors.py")
    # A command explains what any daemon may answer.
    clients = ROOT / "xsd" / "cli"
    daemon = [path for path in sources if path.parent != clients]
    text = "\n".join(path.read_text() for path in daemon)
    for name in re.findall(r"E[A-Z0-9]+", unused[1]):
        assert f"Errno.{name}" not in text
    for name in table:
        assert f"Errno.{name}" in text


def test_numbers_are_those_of_the_code() -> None:
    """Each with the words around it."""
    features = (ops.FEATURE_ERROR, ops.FEATURE_WATCH_DEPTH, ops.FEATURE_DOMID_ANY)
    errors = (ring.ERROR_COMMUNICATION, ring.ERROR_RING_INDEX, ring.ERROR_PROTOCOL)
    bits = "{} the error field of the ring, {} watches with a depth, {} permissions for"
    codes = "{} communication, {} impossible indexes, {} protocol"
    for words in (
        f"at most {limits.PAYLOAD_MAX:,} bytes, in either direction",
        f"have {DEFAULTS['path-max']:,} bytes, `/local/domain/<domid>/` not counted",
        f"{limits.DOMID_ANY} is all domains",
        f"two rings of {limits.RING_SIZE:,} bytes",
        f"until it ends, for {TURN_MS} ms at most if others wait",
        f"protected for {PROTECT_MS} ms after each of its requests",
        f"a guest's for {TURN_MS} ms",
        bits.format(*features),
        codes.format(*errors),
    ):
        assert words in " ".join(PAGE.split())
    assert PROTECT_AFTER == 5
    assert "After five commits in a row" in PAGE
