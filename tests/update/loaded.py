"""Updates of a daemon whose clients are all in the middle of something.

    python -m tests.update.loaded

`make test-update` runs this; the suite has fewer clients and updates.
"""

import os
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from tests.support.processes import Place, end
from tests.update.running import program, session, update
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK

CLIENTS: Final = 50
VALUE: Final = b"v" * 2048
UNREAD: Final = 200
"""Replies of such a value that nobody reads: more than a socket takes."""

MODES: Final = ("--no-journal", "--journal")


def update_under_load(
    place: Place, asking: Session, file: Path, *, clients: int, updates: int
) -> None:
    """Have a daemon replaced while each client has sent a part of a request.

    Every other one has many replies to read, too.

    Raises:
        AssertionError: If a byte was lost, or came twice.
    """
    asking.ok(Op.WRITE, b"/v\0" + VALUE)
    with ExitStack() as held:
        all_ = [held.enter_context(closing(session(place))) for _ in range(clients)]
        for each in all_:
            each.get(Op.READ, b"/v\0")
        for turn in range(updates):
            rests = []
            for number, each in enumerate(all_):
                if number % 2:
                    wanted = [each.frame(Op.READ, b"/v\0") for _ in range(UNREAD)]
                    each.send(b"".join(wanted))
                cut = 1 + (number * 2 + turn) % 30
                frame = each.frame(Op.WRITE, b"/c/%d/%d\0v" % (number, turn))
                each.send(frame[:cut])
                rests.append(frame[cut:])

            assert update(asking, file) == "OK"

            for number, (each, rest) in enumerate(zip(all_, rests, strict=True)):
                each.send(rest)
                if number % 2:
                    assert each.replies(UNREAD) == [(Op.READ, VALUE)] * UNREAD
                assert each.replies() == [(Op.WRITE, OK)]
                assert each.take() == []
    for number in range(clients):
        names = asking.get(Op.DIRECTORY, b"/c/%d\0" % number)
        assert names == b"".join(b"%d\0" % turn for turn in range(updates))


def main() -> None:
    updates = int(os.environ.get("XSD_UPDATES", "20"))
    for mode in MODES:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="xs-") as name:
            directory = Path(name)
            with Place(directory) as place:
                process = place.start(mode)
                file = program(directory / "xenstored")
                with closing(session(place)) as asking:
                    update_under_load(
                        place, asking, file, clients=CLIENTS, updates=updates
                    )
                assert len(place.lines("daemon.serving")) == 1 + updates
                assert end(process) == 0
        taken_s = time.monotonic() - begun
        print(f"{mode}: {updates} updates with {CLIENTS} clients in {taken_s:.0f} s")


if __name__ == "__main__":
    main()
