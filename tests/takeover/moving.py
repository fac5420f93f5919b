"""Clients of a daemon that becomes another, and how that is asked for."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

from tests.conftest import find_program
from tests.peers.domu import DomU
from tests.support.daemons import CHECKOUT, PATIENCE_S
from xsd.client.transport import SocketTransport, Transport
from xsd.protocol.limits import UINT_MAX
from xsd.protocol.ops import Op
from xsd.testing import Session

RSP_CONS: Final = 514
RSP_PROD: Final = 515
"""Where a page has these, as words of 32 bits (xs_wire.h)."""

Row = tuple[str, str, str]


@final
class RingTransport(Transport):
    """A guest's ring."""

    def __init__(self, guest: DomU) -> None:
        self._guest = guest

    def send(self, data: bytes, timeout: float | None) -> None:
        self._guest.send(data, timeout)

    def receive(self, timeout: float | None) -> bytes:
        wait_s = PATIENCE_S if timeout is None else timeout
        data = self._guest.receive_some(time.monotonic() + wait_s)
        if not data:
            raise TimeoutError("nothing came")
        return data

    @property
    def unread(self) -> int:
        """Bytes on the ring that the guest may read."""
        words = self._guest.words
        return (words[RSP_PROD] - words[RSP_CONS]) & UINT_MAX

    def close(self) -> None:
        self._guest.close()


def client(socket: Path) -> Session:
    """One of dom0's."""
    return Session(SocketTransport(str(socket), PATIENCE_S), timeout=PATIENCE_S)


def guest(dom0: Session, shim: Path, domid: int) -> Session:
    """A guest that is introduced, with a home of its own."""
    domain = DomU(shim, domid, timeout=PATIENCE_S)
    dom0.ok(Op.INTRODUCE, b"%d\0%d\0%d\0" % (domid, 4096 + domid, domain.port))
    dom0.make(b"/local/domain/%d" % domid, b"n%d" % domid)
    return Session(RingTransport(domain), domid, timeout=PATIENCE_S)


def script(path: Path, words: Sequence[str]) -> Path:
    """A program that becomes another, with all arguments of its own at the end."""
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def stopover(directory: Path, daemon: str) -> Path:
    """Ours for a moment, and then another daemon; it leaves the file `notes`."""
    words = [
        *("env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-m"),
        *("tests.takeover.stopover", str(directory / "notes"), daemon),
    ]
    return script(directory / "stopover", words)


def notes(directory: Path) -> dict[str, Any]:
    """What was noted there."""
    found: dict[str, Any] = json.loads((directory / "notes").read_text("utf-8"))
    return found


def listed(socket: Path) -> list[Row]:
    """All nodes that xenstore-ls shows: path, value and permissions."""
    text = subprocess.check_output(
        [find_program("xenstore-ls", "xenstore-utils"), "-fp"],
        env={"XENSTORED_PATH": str(socket)},
        text=True,
    )
    rows: list[Row] = []
    for line in text.splitlines():
        path, _, rest = line.partition(" = ")
        value, _, perms = rest.rpartition("   ")
        rows.append((path, value.strip('"'), perms.strip("()")))
    return rows


UPDATE_S: Final = 10
"""Seconds that a daemon may wait for transactions before it is replaced."""


def update(asking: Session, program: Path) -> None:
    """Have a daemon become another; the reply is the new one's."""
    asking.get(Op.CONTROL, b"live-update\0-f\0%s\0" % bytes(program))
    asking.get(Op.CONTROL, b"live-update\0-s\0-t\0%d\0" % UPDATE_S)
