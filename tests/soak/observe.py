"""What long runs share: a daemon seen from outside, and an end in order."""

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

from xsd.client import Client
from xsd.protocol.errors import Errno, XenStoreError

MIB: Final = 1024 * 1024


def end_in_order() -> None:
    """Have SIGTERM end this process as Ctrl-C does, with the processes it started."""

    def stop(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, stop)


def usage(dom0: Client, domid: int) -> dict[str, int] | None:
    """Return what a domain uses now by its quotas, or None if it is not known."""
    try:
        text = dom0.control("quota", str(domid)).decode()
    except XenStoreError as error:
        if error.errno == Errno.ENOENT:
            return None
        raise
    rows = [line.split(":") for line in text.splitlines()[1:] if line]
    counts = {name.strip(): shown.split()[0] for name, shown in rows}
    # Bytes depend on what is written at the time.
    del counts["memory"]
    return {name: int(count) for name, count in counts.items() if count != "-"}


def nodes(dom0: Client, *but: bytes) -> frozenset[bytes]:
    """Return all paths with their permissions, but for some and those below them."""
    found = set()
    rest = [b"/"]
    while rest:
        path = rest.pop()
        if path not in but:
            found.add(b" ".join([path, *dom0.get_permissions(path)]))
            above = path.rstrip(b"/") + b"/"
            rest += [above + name for name in dom0.directory(path)]
    return frozenset(found)


def events(log: Path) -> Counter[str]:
    """Count the lines of a log in JSON by event; what is no JSON is an event, too."""
    found: Counter[str] = Counter()
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found[str(json.loads(line)["event"])] += 1
        except (ValueError, KeyError, TypeError):
            found[line] += 1
    return found
