"""A daemon that a host moves to for a moment: it takes over, and goes back to C's.

It serves nobody. In between it notes what it was told, and writes a node, as a client
would. It is started by a live update, in the process of the daemon before:

    python -m tests.takeover.stopover NOTES DAEMON [ARGUMENT...]
"""

import json
import os
import sys
from pathlib import Path
from typing import Final

from xsd.engine import Engine
from xsd.engine.adopted import Takeover
from xsd.engine.foreign import adopt
from xsd.engine.handover import for_c
from xsd.engine.image import End
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.path import format_path
from xsd.protocol.records import GlobalData
from xsd.protocol.stream import StreamReader, StreamWriter, read_stream, write_stream
from xsd.store import Store
from xsd.store.check import verify
from xsd.store.node import Node

WRITTEN: Final = b"/stopover"
"""The node that is written in between."""


def notes_of(engine: Engine) -> dict[str, object]:
    """What an engine was told, as JSON has it."""
    store = engine.store
    rows: list[tuple[str, str, str]] = []
    rest: list[tuple[tuple[bytes, ...], Node]] = [((), store.live.tree.top)]
    while rest:
        path, node = rest.pop()
        if len(path) > 1:
            perms = node.perms.text.decode().rstrip("\0").replace("\0", ",")
            rows.append((format_path(path).decode(), node.value.decode(), perms))
        below = [((*path, name), child) for name, child in node.children()]
        rest.extend(reversed(below))
    domains = store.domains.all()
    return {
        "faults": verify(store),
        "tree": rows,
        "watches": [
            [watch.caller.domid, watch.shown.decode(), watch.token.decode()]
            for watch in store.watches.all()
        ],
        "introduced": [each.domid for each in domains if each.introduced],
        "targets": [[each.domid, each.caller.target] for each in domains
                    if each.caller.target >= 0],
    }  # fmt: skip


def hand_over(engine: Engine, found: Takeover, version: int) -> bytes:
    """The stream for C, with everybody where they were."""
    ends = {
        each.connection.id: End(each.record.fd, each.record.port)
        for each in found.clients
    }
    shared = GlobalData(found.socket_fd, found.evtchn_fd)
    records = for_c(engine, ends, shared, version)
    return write_stream(records, StreamWriter(version))


def main(notes: Path, words: list[str]) -> None:
    dump = Path(os.environ["XENSTORED_RUNDIR"]) / "state_dump"
    data = dump.read_bytes()
    version = StreamReader(data).version
    engine = Engine(Store())
    found = adopt(engine, read_stream(data), version)
    told = notes_of(engine)
    told["begun"] = {each.connection.caller.domid: each.record.begun
                     for each in found.clients if each.is_ring}  # fmt: skip
    connection = engine.connect(0)
    engine.feed(connection, encode_frame(Op.WRITE, 1, 0, WRITTEN + b"\0here"))
    while engine.busy:
        engine.turn(0)
    engine.disconnect(connection)
    dump.write_bytes(hand_over(engine, found, version))
    notes.write_text(json.dumps(told), encoding="utf-8")
    os.execv(words[0], words)  # noqa: S606


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
