"""A daemon that is killed again and again, and clients that know what it has said."""

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Final, final

from tests.support.daemons import PATIENCE_S, Daemon, launch
from xsd.client import Client, NotListeningError
from xsd.protocol.errors import XenStoreError

CLIENTS: Final = 20


@final
class Killed:
    """A daemon whose state is kept, and which can be killed.

    Attributes:
        daemon: The present one.
    """

    def __init__(self, directory: Path, *options: str, **variables: str) -> None:
        self._directory = directory
        settings = directory / "settings.toml"
        # So that there are some while it is killed.
        settings.write_text(
            "[journal]\nkeep = true\ncheckpoint = 1\n", encoding="utf-8"
        )
        self._options = ("--config", str(settings), *options)
        self._variables = variables
        self.daemon: Daemon = self._launch()

    def _launch(self) -> Daemon:
        return launch(self._directory, *self._options, **self._variables)

    def stop(self) -> None:
        """End it for good."""
        self.daemon.stop()

    def kill(self, by: signal.Signals = signal.SIGKILL) -> None:
        """End it, and start another one in its place."""
        self.daemon.stop(by)
        # Recovery seems to end it so soon after others: it is not to give up here.
        (self._directory / "journal" / "attempts").unlink(missing_ok=True)
        self.daemon = self._launch()


@final
class Counter:
    """A client that counts in a node of its own, and remembers what was acknowledged.

    Each number is written in a transaction that reads the one before: one that was
    carried out twice would leave a gap.

    Attributes:
        acknowledged: The number that was acknowledged last.
        faults: What was not as it has to be.
    """

    def __init__(self, socket: Path, name: str) -> None:
        self._socket = str(socket)
        self._path = f"/count/{name}"
        self._stop = threading.Event()
        self.acknowledged = 0
        self.faults: list[str] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Count no further."""
        self._stop.set()
        self._thread.join(2 * PATIENCE_S)
        if self._thread.is_alive():
            self.faults.append("it waits for an answer that does not come")

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with Client(self._socket, timeout=PATIENCE_S) as client:
                    self._look(client)
                    while not self._stop.is_set():
                        self._count(client)
            except NotListeningError:
                time.sleep(0.01)
            except XenStoreError as error:
                self.faults.append(str(error))
                return
            except TimeoutError:
                self.faults.append("no answer")
                return
            except OSError:
                # The connection was closed in the middle of something.
                continue

    def _look(self, client: Client) -> None:
        """What is there is what was acknowledged, or what was asked for after that."""
        if not client.exists(self._path):
            client.write(self._path, b"0")
        found = int(client.read(self._path))
        if found not in (self.acknowledged, self.acknowledged + 1):
            self.faults.append(f"{found} after {self.acknowledged}")
        self.acknowledged = found

    def _count(self, client: Client) -> None:
        with client.transaction() as transaction:
            number = int(transaction.read(self._path))
            transaction.write(self._path, b"%d" % (number + 1))
        if number != self.acknowledged:
            self.faults.append(f"{number} in the place of {self.acknowledged}")
        self.acknowledged = number + 1
        # Else the test would be about how fast a long journal is read.
        time.sleep(0.02)


def kill_at_random(killed: Killed, kills: int, seed: int) -> None:
    """Kill a daemon so often, after 50 to 300 ms each."""
    draw = random.Random(seed)  # noqa: S311  no secret
    for _ in range(kills):
        time.sleep(draw.uniform(0.05, 0.3))
        killed.kill()


def main() -> None:
    """Kill a daemon as often as XSD_KILLS says."""
    import tempfile  # noqa: PLC0415

    from tests.crash.guests import begin  # noqa: PLC0415
    from tests.peers.build import on_shim  # noqa: PLC0415

    kills = int(os.environ.get("XSD_KILLS", "200"))
    seed = int(os.environ.get("XSD_SEED") or "0") or random.SystemRandom().getrandbits(
        32
    )
    print(f"{kills} kills, SEED={seed}")
    with tempfile.TemporaryDirectory(prefix="xs-") as folder:
        directory = Path(folder)
        killed = Killed(directory, "--hypervisor", "xen", **on_shim(directory))
        guests = begin(killed.daemon.socket, directory / "shim")
        clients = [Counter(killed.daemon.socket, str(n)) for n in range(CLIENTS)]
        try:
            kill_at_random(killed, kills, seed)
        finally:
            for guest in guests:
                guest.stop()
            for client in clients:
                client.stop()
            killed.stop()
            for guest in guests:
                guest.close()
    faults = [fault for client in clients for fault in client.faults]
    faults += [fault for guest in guests for fault in guest.faults]
    counted = sum(client.acknowledged for client in clients)
    rounds = sum(guest.count for guest in guests)
    print(f"{counted} changes acknowledged, {rounds} rounds of guests")
    print(f"{len(faults)} faults", *faults, sep="\n")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
