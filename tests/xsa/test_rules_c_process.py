"""Rules that concern the process: its log, its sockets and files, its hashes."""

import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.homes import welcome
from tests.support.hosts import frames
from tests.support.processes import Place, wait_until
from xsd.client import Client
from xsd.engine.loglimit import AT_ONCE
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.testing import Guest, PretendedHost

CODE: Final = Path(__file__).resolve().parents[2]

NASTY: Final = [
    b'x\n{"event": "forged", "level": "error"}\n',
    b"x\r\nforged",
    b"\x1b[2J\x1b[31mred",
    b"\xe2\x80\xaereversed",
    b"\xff\xfe\x80",
    b'"},{"event": "forged"',
    b"\\n\\x00",
    b"%s%n%p{0}",
    b"\x85\xa8",
]
"""What a log, or the terminal that shows it, might take for something else."""


@pytest.fixture
def dom0(place: Place) -> Iterator[Client]:
    """A client of a daemon that logs to a file."""
    place.start("--hypervisor", "emulated", "--log-level", "debug")
    with place.client() as client:
        yield client


@pytest.fixture
def guest(place: Place, dom0: Client) -> Iterator[Guest]:
    """Domain 1 on its ring."""
    with PretendedHost(f"{place.socket}.hypervisor") as host, host.create(1) as guest:
        welcome(dom0, 1, guest.port)
        yield guest


def check(place: Place, dom0: Client) -> None:
    """Check that the daemon serves and its store is consistent; it is logged then."""
    dom0.write("/bystander", b"1")
    assert dom0.read("/bystander") == b"1"
    assert dom0.control("check") == b"OK"
    wait_until(lambda: bool(place.lines("store.checked")), "nothing is logged")


# 3. What guests send does not get into the log as it is, nor too often.


@pytest.mark.slow
def test_what_a_guest_sends_forges_no_line_of_the_log(
    place: Place, dom0: Client, guest: Guest
) -> None:
    """Each line is one object of printable ASCII, with the event that we gave it."""
    asked = 0
    for text in NASTY:
        for op, rest in ((Op.READ, b""), (Op.WRITE, text), (Op.WATCH, text + b"\0")):
            guest.send_bytes(encode_frame(op, asked, 0, text + b"\0" + rest))
            asked += 1
    assert len(frames(guest, asked)) == asked
    dom0.control("print", b"\n".join(NASTY).replace(b"\0", b""))
    check(place, dom0)

    assert re.fullmatch(r"[\n -~]*", place.text())
    events = {str(line["event"]) for line in place.lines()}
    assert "request.refused" in events
    assert "forged" not in events
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", event) for event in events)


@pytest.mark.slow
def test_a_guest_does_not_fill_the_log(
    place: Place, dom0: Client, guest: Guest
) -> None:
    """What it is refused is logged some times, and then now and then."""
    guest.send_bytes(encode_frame(Op.READ, 1, 0, b"/tool\0") * 50)
    assert len(frames(guest, 50)) == 50
    before = len(place.lines())
    requests = [
        *((Op.READ, b"/tool\0"), (Op.READ, b"//\0"), (Op.CONTROL, b"check\0")),
        *((99, b""), (Op.WATCH, b"x\0")),
    ]
    for op, payload in requests * 10:
        guest.send_bytes(encode_frame(op, 1, 0, payload) * 10)
        assert len(frames(guest, 10)) == 10
    check(place, dom0)

    refused = [line for line in place.lines("request.refused") if line["domid"] == 1]
    assert len(refused) in {AT_ONCE, AT_ONCE + 1}
    assert len(place.lines()) - before < 5


# 4. Whoever can open the socket is dom0.


@pytest.mark.slow
@pytest.mark.usefixtures("guest")
def test_only_the_owner_can_open_any_socket(place: Place) -> None:
    """Those of dom0, of the pretended hypervisor and of its domains."""
    sockets = [path for path in place.socket.parent.iterdir() if path.is_socket()]

    assert len(sockets) == 3
    for path in sockets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.slow
def test_the_umask_does_not_open_a_socket(place: Place) -> None:
    """Whatever the daemon was started with."""
    for mask in (0, 0o077):
        command = ["/bin/sh", "-c", f'umask {mask:o}; exec "$@"', "sh"]
        daemon = [*command, *place.command("-N", "--hypervisor", "emulated")]
        with subprocess.Popen(
            daemon, env=place.environ(), stderr=subprocess.DEVNULL
        ) as process:
            try:
                wait_until(place.answers, "the daemon does not answer")
                assert stat.S_IMODE(place.socket.stat().st_mode) == 0o600
            finally:
                process.terminate()
                process.wait()


# 8. Nobody can tell where names go in a hash table.


@pytest.mark.slow
def test_names_are_hashed_differently_in_each_daemon(place: Place) -> None:
    """With Python's own salt, which nothing of ours turns off."""
    program = "import xsd.daemon.xenstored; print(hash(b'device'))"
    environ = place.environ()
    environ.pop("PYTHONHASHSEED", None)
    command = [sys.executable, "-c", program]
    hashes = {subprocess.check_output(command, env=environ) for _ in range(2)}

    assert len(hashes) == 2


def test_nothing_that_is_installed_sets_the_salt() -> None:
    """PYTHONHASHSEED is for tests that are to repeat themselves."""
    folders = [CODE / name for name in ("protocol", "xsd", "systemd", "dist")]
    files = [path for folder in folders for path in folder.rglob("*")]
    files = [path for path in files if path.suffix != ".pyc" and path.is_file()]
    texts = [path.read_bytes() for path in files]

    assert texts
    assert [text for text in texts if b"PYTHONHASHSEED" in text] == []
