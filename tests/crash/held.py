"""A daemon that is killed again and again under a service manager that holds sockets.

Writers make nodes, each another one, and know which were acknowledged. Idle clients
watch them and have a transaction open; they ask nothing, so nothing may ever happen to
them.
"""

import os
import random
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Final, final

from tests.crash.killed import Counter
from tests.support.manager import ServiceManager
from tests.support.processes import PATIENCE_S
from tests.takeover.moving import client
from xsd.client import Client, DisconnectedError, NotListeningError
from xsd.protocol.errors import XenStoreError
from xsd.protocol.ops import Op
from xsd.testing import Session

IDLE: Final = 5
WRITERS: Final = 5
COUNTERS: Final = 10

_STORED_S: Final = 2.5
"""Seconds until who comes now is held for sure."""

_TOP: Final = b"/made"
_LAST: Final = b"/made/last"


@final
class Writer:
    """Makes one node after the other.

    Attributes:
        made: When each was asked for, of those that were acknowledged.
        closed: How often its connection was closed.
        faults: What was not as it has to be.
    """

    def __init__(self, socket: Path, name: str) -> None:
        self._socket = str(socket)
        self._name = name
        self._stop = threading.Event()
        self.made: dict[bytes, float] = {}
        self.closed = 0
        self.faults: list[str] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Make no more."""
        self._stop.set()
        self._thread.join(2 * PATIENCE_S)
        if self._thread.is_alive():
            self.faults.append("it waits for an answer that does not come")

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            try:
                with Client(self._socket, timeout=PATIENCE_S) as dom0:
                    while not self._stop.is_set():
                        number += 1
                        path = f"{_TOP.decode()}/{self._name}-{number}"
                        asked = time.monotonic()
                        dom0.write(path, b"")
                        self.made[path.encode()] = asked
                        time.sleep(0.005)
            except (TimeoutError, NotListeningError, XenStoreError) as error:
                # The socket is there all the time, as the manager holds it.
                self.faults.append(repr(error))
                return
            except OSError:
                self.closed += 1


@final
class Idle:
    """Asks nothing, and hears of everything.

    Attributes:
        faults: What was not as it has to be.
    """

    def __init__(self, socket: Path, name: str) -> None:
        self._session: Session = client(socket)
        self._session.watch(_TOP)
        self._number = self._session.start()
        self._session.ok(Op.WRITE, b"/idle/%s\0v" % name.encode(), self._number)
        self._heard: dict[bytes, float] = {}
        self.faults: list[str] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        path = b""
        try:
            while path != _LAST:
                path, _token = self._session.next_event()
                self._heard[path] = time.monotonic()
        except (AssertionError, DisconnectedError, OSError) as error:
            self.faults.append(repr(error))

    def check(self, made: dict[bytes, float]) -> None:
        """It has heard of all that was made, or to look again after that was."""
        self._thread.join(2 * PATIENCE_S)
        again = self._heard.get(_TOP, 0.0)
        lost = [p for p, at in made.items() if p not in self._heard and at > again]
        if lost:
            self.faults.append(f"{len(lost)} events were lost, {lost[0]!r} first")
        if not self.faults and self._session.commit(self._number) is not None:
            self.faults.append("its transaction is not what it was")
        self._session.close()


def run(directory: Path, kills: int, seed: int) -> tuple[list[str], str]:
    """Kill a daemon so often; faults, and what happened."""
    draw = random.Random(seed)  # noqa: S311  no secret
    settings = directory / "settings.toml"
    # So that there are checkpoints while it is killed, and a start reads little.
    settings.write_text("[journal]\nkeep = true\ncheckpoint = 1\n", encoding="utf-8")
    with ServiceManager(directory, "--config", str(settings)) as manager:
        with closing(client(manager.socket)) as first:
            # Else each transaction would make it, and only one could commit.
            first.ok(Op.MKDIR, b"/idle\0")
        idle = [Idle(manager.socket, str(n)) for n in range(IDLE)]
        manager.wait_until(lambda: len(manager.held) == IDLE + 1, "they are not held")
        writers = [Writer(manager.socket, str(n)) for n in range(WRITERS)]
        counters = [Counter(manager.socket, str(n)) for n in range(COUNTERS)]
        for _ in range(kills):
            # Who has waited for the last start is answered before the next one.
            with closing(client(manager.socket)) as queued:
                queued.get(Op.GET_DOMAIN_PATH, b"1\0")
            # Sometimes those who came after the last one are held by then.
            time.sleep(draw.choice((0.05, 0.15, 0.3, _STORED_S)))
            manager.kill()
        for writer in writers:
            writer.stop()
        for counter in counters:
            counter.stop()
        with closing(client(manager.socket)) as last:
            last.ok(Op.WRITE, _LAST + b"\0v")
            made = {path: at for each in writers for path, at in each.made.items()}
            for one in idle:
                one.check(made)
            here = last.get(Op.DIRECTORY, b"/idle\0").split(b"\0")[:-1]
    faults = [fault for each in idle for fault in each.faults]
    faults += [fault for each in writers for fault in each.faults]
    faults += [fault for each in counters for fault in each.faults]
    if len(here) != IDLE:
        faults.append(f"of transactions there are {here!r} only")
    closed = sum(each.closed for each in writers)
    rate = f"{closed} of {kills * WRITERS} times"
    return faults, f"{len(made)} nodes made, writers closed {rate}"


def main() -> None:
    """Kill a daemon as often as XSD_KILLS says."""
    import tempfile  # noqa: PLC0415

    kills = int(os.environ.get("XSD_KILLS", "200"))
    seed = int(os.environ.get("XSD_SEED") or "0") or random.SystemRandom().getrandbits(
        32
    )
    print(f"{kills} kills under a service manager, SEED={seed}")
    with tempfile.TemporaryDirectory(prefix="xs-") as folder:
        faults, what = run(Path(folder), kills, seed)
    print(f"{what}, {len(faults)} faults", *faults, sep="\n")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
