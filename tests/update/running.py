"""Programs that a daemon is replaced by, and how that is asked for."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.processes import PATIENCE_S, Place
from xsd.client.transport import SocketTransport
from xsd.protocol.ops import Op
from xsd.testing import Session

OURS = "from xsd.daemon.xenstored import main\nsys.exit(main())\n"
TAKES_OVER = "if '--check-state' not in sys.argv:\n    "
"""Before what a program does that passes the proof."""


def program(path: Path, *, before: str = "", then: str = OURS) -> Path:
    """A script for Python; by default it is our daemon."""
    text = f"#!{sys.executable}\nimport os, sys, time\n{before}\n{then}"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def session(place: Place) -> Session:
    """A client of dom0's."""
    transport = SocketTransport(str(place.socket), PATIENCE_S)
    return Session(transport, timeout=PATIENCE_S)


def told(asking: Session, *words: str | Path) -> str:
    """What a step of an update is answered."""
    payload = b"".join(os.fsencode(word) + b"\0" for word in ("live-update", *words))
    return asking.get(Op.CONTROL, payload).rstrip(b"\0").decode()


def update(asking: Session, file: Path, options: Sequence[str] = ()) -> str:
    """Have a daemon replaced; what the last step is answered."""
    assert told(asking, "-f", file) == "OK"
    return told(asking, "-s", *options)


def kinds(pid: int) -> list[str]:
    """What the open descriptors of a process are, without their numbers.

    The loop opens /dev/null for the first program that it starts, and keeps it.
    """
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        target = str(entry.readlink())
        if "/journal/segment." in target:
            # Another process begins another one.
            target = target.partition("/segment.")[0]
        is_named = not target.startswith(("socket:", "pipe:"))
        if target != os.devnull:
            found.append(target if is_named else target.partition(":")[0])
    return sorted(found)


def left_open(pid: int) -> list[str]:
    """Descriptors that a program started by the process would have, beside 0 to 2."""
    found = []
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        # It may be closed at this moment.
        with suppress(FileNotFoundError):
            flags = int(entry.read_text().split("flags:")[1].split()[0], 8)
            if int(entry.name) > 2 and not flags & os.O_CLOEXEC:
                found.append(str(Path(f"/proc/{pid}/fd/{entry.name}").readlink()))
    return found
