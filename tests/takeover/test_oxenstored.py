"""What oxenstored hands on makes the store that it has."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from signal import SIGKILL
from typing import Final

import pytest

from tests.conftest import skip_or_fail
from tests.peers.programs import PLACE
from tests.support.daemons import Daemon, start_ocaml_peer
from tests.support.processes import wait_until
from tests.takeover import moving
from tests.takeover.stopover import notes_of
from xsd.engine import Engine
from xsd.engine.foreign import adopt
from xsd.protocol.dump import Dump
from xsd.protocol.ops import Op
from xsd.store import Store

OCAML: Final = str(PLACE / "oxenstored")
WRITTEN_TO: Final = Path("/var/run/xenstored/db")
"""Where it writes, whatever it is told."""

pytestmark = pytest.mark.slow


@pytest.fixture
def daemon(directory: Path) -> Iterator[Daemon]:
    if not WRITTEN_TO.parent.is_dir():
        if os.geteuid():
            skip_or_fail(f"{WRITTEN_TO.parent} is missing, which root can make")
        WRITTEN_TO.parent.mkdir(parents=True)
    with start_ocaml_peer(directory) as found:
        yield found
        # One that has had domains waits for some of them.
        found.stop(SIGKILL)


def _keeping(directory: Path) -> Path:
    """Itself, which keeps what it was told in the file `kept`; and has its arguments
    looked at before."""
    part, kept = directory / "part", directory / "kept"
    line = f'[ "${{*%--help}}" = "$*" ] && cp {WRITTEN_TO} {part} && mv {part} {kept}'
    words = ["sh", "-c", f'{line}; exec {OCAML} "$@"', "sh"]
    return moving.script(directory / "keeping", words)


def test_all_that_it_hands_on_is_taken_over(daemon: Daemon, directory: Path) -> None:
    """Tree, watches, and who has a ring; it goes on itself afterwards."""
    with closing(moving.client(daemon.socket)) as dom0:
        guest = moving.guest(dom0, directory / "shim", 5)
        dom0.make(b"/shared", b"n5", b"r6", b"b0")
        for path in (b"/shared/z", b"/shared/a", b"/shared/m/n/o"):
            guest.get(Op.WRITE, path + b"\0" + path)
        dom0.watch(b"/", b"all")
        dom0.watch(b"@releaseDomain", b"gone")
        guest.watch(b"mine", b"relative")
        before = moving.listed(daemon.socket)

        dom0.get(Op.CONTROL, b"live-update\0-f\0%s\0" % bytes(_keeping(directory)))
        dom0.get(Op.CONTROL, b"live-update\0-s\0-t\x0010\0")
        wait_until((directory / "kept").exists, "it does not start itself again")
        dom0.get(Op.READ, b"/tool/xenstored\0")

        dump = Dump((directory / "kept").read_bytes())
        engine = Engine(Store())
        found = adopt(engine, dump.records)
        told = notes_of(engine)
        guest.close()

    assert dump.skipped == []
    assert told["faults"] == []
    # It shows special nodes as though they were others.
    rows = [row for row in before if not row[0].startswith("/@")]
    assert told["tree"] == rows
    assert ("/shared/z", "/shared/z", "n5,r6,b0") in rows
    assert isinstance(told["watches"], list)
    assert sorted(told["watches"]) == [
        [0, "/", "all"],
        [0, "@releaseDomain", "gone"],
        [5, "mine", "relative"],
    ]
    assert told["introduced"] == [0, 5]
    rings = [each for each in found.clients if each.is_ring]
    assert [each.record.domid for each in rings] == [0, 5]
    assert all(each.record.port > 0 for each in rings)
    assert min(found.socket_fd, found.evtchn_fd, dump.virq_port) > 0
