"""Hostile guests on rings against one daemon, and some who must not care.

    python -m tests.soak.fuzz [--seconds S] [--seed N] [--guests N]

In each round hostile guests do what they can, then end; what they had must be gone, and
nothing of it may be left in the counters, the log or, over all rounds, the memory. A
client of dom0 and a guest check every answer that they get meanwhile. A bystander takes
the time: it asks this daemon and an idle one in turn, which shows what the machine
adds. The daemon is the `xsd` that Python finds here, or that the interpreter finds
which XSD_TEST_PYTHON names.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple, Self, final

from tests.soak.bystander import Bystander, Seen
from tests.soak.hostile import ACTS, PATIENCE_S, PUBLIC
from tests.soak.observe import MIB, end_in_order, events, nodes, usage
from tests.soak.polite import PAUSE_S, Polite
from tests.support.daemons import CHECKOUT, Daemon, environment, start_xsd
from tests.support.homes import home
from tests.support.hosts import Processor
from tests.support.processes import memory, prefer
from xsd.client import Client, Transaction
from xsd.protocol.errors import Errno, XenStoreError
from xsd.testing import PretendedHost

ROUNDS: Final = 12
"""Of a long run; the first quarter is there to warm up."""

GUESTS: Final = 3
"""Hostile guests, if nothing else is said; their domains are the first ones."""

POLITE: Final = 99

GROWTH_MAX: Final = 4 * MIB
"""Bytes that the daemon may have more after the last round than after a quarter of
them, each time without hostile guests."""

PEAK_MAX: Final = 104 * MIB
PEAK_OF_EACH: Final = 8 * MIB
"""Bytes that it may ever have had, for all and for each hostile guest: three times what
it has when nothing is wrong."""

SLOWER_MAX: Final = 3.0
"""Times that the 99th percentile of a bystander's round trips may grow in the median
round. Each is compared with the quiet time just before it, or with the idle daemon's at
the same time if that is more, since others use the machine, too."""

WORST_MAX_S: Final = 0.020
"""Seconds that any of its round trips may take beyond the idle daemon's worst one."""

QUIET_TURNS: Final = 150
"""Of dom0's client before the hostile guests of a round come."""

ATTEMPTS_MAX: Final = 100
"""Of a transaction that hostile guests disturb; it should be 6, see progress.py, but
it has to be done in 250 ms for that."""

LOGGED: Final = (
    *("connection.broken", "connection.too_slow", "daemon.serving", "domain.ignored"),
    *("events.expired", "memory.below_soft_quota", "memory.over_soft_quota"),
    *("quota.exceeded", "request.refused", "log.left_out"),
    "store.checked",
)
"""All that hostile guests may have the daemon say."""


class Round(NamedTuple):
    """What was measured in a round."""

    memory: int  # bytes of the daemon afterwards
    peak: int  # bytes that it has had at most so far
    load: float  # what part of the time the daemon had a processor
    quiet: Seen  # a bystander's round trips before
    busy: Seen  # the same while hostile guests were there

    @property
    def slower(self) -> float:
        """How many times as long the slow ones took."""
        others = max(self.quiet.busy.p99, self.busy.idle.p99)
        return self.busy.busy.p99 / others

    @property
    def waited(self) -> float:
        """How much longer the slowest one took, in seconds."""
        return self.busy.busy.worst - self.busy.idle.worst


@final
class Run:
    """A daemon with a polite guest, and hostile ones in rounds."""

    def __init__(self, directory: Path, seed: int, guests: int = GUESTS) -> None:
        self.faults: list[str] = []
        self.done: Counter[str] = Counter()
        self.rounds: list[Round] = []
        self.conflicts = 0
        self.checked = 0
        self._log = directory / "log"
        self._seed = seed
        self._held = ExitStack()
        self._hostile = tuple(range(1, guests + 1))
        self._daemon, idle = self._start(directory), self._start(directory / "idle")
        self._path = str(self._daemon.socket)
        self._dom0 = self._held.enter_context(Client(self._path, timeout=PATIENCE_S))
        self._dom0.write("/bystander", b"")
        self._polite = Polite(self._dom0, b"/bystander")
        self._guest = self._python("polite", str(POLITE))
        assert self._guest.stdout is not None
        assert self._guest.stdout.readline() == "served\n"
        self._open_public()
        self._turn()
        bystander = Bystander(self._path, str(idle.socket))
        self._bystander = self._held.enter_context(bystander)
        self._before = usage(self._dom0, 0)
        self._nodes = self._look_at_nodes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def round(self, *, steps: int = 0, seconds: float = 0.0) -> None:
        """Have hostile guests do so many steps or seconds of what they do."""
        self._bystander.take()
        for _ in range(QUIET_TURNS if seconds else 1):
            self._turn()
        quiet = self._bystander.take()
        self._seed += 1
        limits = (str(steps), str(seconds))
        guests = [
            self._python("hostile", str(domid), f"{self._seed}{domid}", *limits)
            for domid in self._hostile
        ]
        processor = Processor(self._daemon.pid)
        begin, worked = time.monotonic(), processor.used()
        deadline = begin + seconds + PATIENCE_S
        while any(guest.poll() is None for guest in guests):
            if time.monotonic() > deadline:
                self.faults.append("a hostile guest does not come to its end")
                break
            self._turn()
        busy = self._bystander.take()
        load = (processor.used() - worked) / (time.monotonic() - begin)
        for domid, guest in zip(self._hostile, guests, strict=True):
            self._end_hostile(domid, guest)
        self.settle()
        pid = self._daemon.pid
        sizes = memory(pid), memory(pid, "VmHWM")
        self.rounds.append(Round(*sizes, load, quiet, busy))

    @property
    def steps(self) -> int:
        return sum(self.done[name] for name in ACTS)

    def end(self) -> None:
        try:
            printed, _ = self._guest.communicate(timeout=PATIENCE_S)
            self.checked = self._polite.checked + int(printed or 0)
        except (subprocess.TimeoutExpired, ValueError):
            self._guest.kill()
        if self._guest.wait():
            self.faults.append("the polite guest was not answered as it must be")
        self._dom0.control("check")
        for event, count in events(self._log).items():
            if event not in LOGGED:
                self.faults.append(f"logged {count} times: {event}")
        self._held.close()

    def _start(self, directory: Path) -> Daemon:
        directory.mkdir(exist_ok=True)
        daemon = start_xsd(directory, "--hypervisor", "emulated")
        prefer(daemon.pid)
        return self._held.enter_context(daemon)

    def _python(self, module: str, *words: str) -> "subprocess.Popen[str]":
        """Start a process that ends with the run at the latest."""
        process = subprocess.Popen(
            [sys.executable, "-m", f"tests.soak.{module}", self._path, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
            env=environment(),
        )
        self._held.enter_context(process)
        self._held.callback(process.kill)
        return process

    def _turn(self) -> None:
        """Be a client of dom0: alone first, then where hostile guests write."""
        self._polite.turn()
        attempts = 0

        def work(transaction: Transaction) -> None:
            nonlocal attempts
            attempts += 1
            for name in transaction.directory("/shared"):
                try:
                    transaction.read(b"/shared/" + name)
                except XenStoreError as error:
                    if error.errno != Errno.ENOENT:
                        raise
            transaction.write("/shared", b"%d" % attempts)

        self._dom0.run_transaction(
            work, attempts=ATTEMPTS_MAX, pause=lambda _failures: None
        )
        self.conflicts = max(self.conflicts, attempts - 1)
        time.sleep(PAUSE_S)

    def _end_hostile(self, domid: int, process: "subprocess.Popen[str]") -> None:
        process.kill()
        printed, _ = process.communicate()
        if process.returncode:
            self.faults.append(f"hostile guest {domid} failed: {process.returncode}")
        else:
            self.done.update(json.loads(printed))

    def settle(self) -> None:
        with PretendedHost(f"{self._path}.hypervisor", timeout=PATIENCE_S) as host:
            if host.domains() != [POLITE]:
                self.faults.append(f"domains are left: {host.domains()}")
        self._open_public()
        for domid in self._hostile:
            left = usage(self._dom0, domid)
            if left is not None:
                self.faults.append(f"dom{domid} is still known: {left}")
        after = usage(self._dom0, 0)
        if after != self._before:
            self.faults.append(f"dom0 had {self._before}, now {after}")
        changed = self._nodes ^ self._look_at_nodes()
        if changed:
            self.faults.append(f"nodes are left or gone: {sorted(changed)[:5]}")
        self._dom0.control("check")

    def _look_at_nodes(self) -> frozenset[bytes]:
        """Return what should stay as it is: all but what the polite clients have."""
        return nodes(self._dom0, b"/bystander", home(POLITE))

    def _open_public(self) -> None:
        for path in PUBLIC:
            self._dom0.rm(path)
            self._dom0.write(path, b"")
            self._dom0.set_permissions(path, [b"b0"])


def judge(rounds: list[Round], guests: int = GUESTS) -> list[str]:
    """Return what a long run has shown beside its faults: growth and delay."""
    found = []
    growth = rounds[-1].memory - rounds[len(rounds) // 4 - 1].memory
    if growth > GROWTH_MAX:
        found.append(f"the daemon's memory grew by {growth / MIB:.1f} MiB")
    if rounds[-1].peak > PEAK_MAX + guests * PEAK_OF_EACH:
        found.append(f"the daemon's memory was {rounds[-1].peak / MIB:.0f} MiB once")
    slower = median(each.slower for each in rounds)
    if slower > SLOWER_MAX:
        found.append(f"a bystander's p99 is {slower:.1f} times as long")
    waited = max(each.waited for each in rounds)
    if waited > WORST_MAX_S:
        found.append(f"a bystander waited {1000 * waited:.1f} ms longer once")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Hostile guests against a daemon.")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--guests", type=int, default=GUESTS, help="up to 90")
    arguments = parser.parse_args()
    end_in_order()
    guests, seed, seconds = arguments.guests, arguments.seed, arguments.seconds
    print(f"{guests} guests, seed {seed}, {seconds:.0f} seconds", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="xs") as directory,
        Run(Path(directory), seed, guests) as run,
    ):
        for number in range(1, ROUNDS + 1):
            run.round(seconds=seconds / ROUNDS)
            last = run.rounds[-1]
            print(
                f"round {number:2}: {last.memory / MIB:.1f} MiB, at most"
                f" {last.peak / MIB:.1f}; {last.busy.busy}"
                f" (idle: {last.busy.idle}; quiet: {last.quiet.busy}),"
                f" {last.slower:.1f} times, {1000 * last.waited:.1f} ms longer;"
                f" daemon busy {last.load:.0%} of the time",
                flush=True,
            )
        run.end()
        found = [*run.faults, *judge(run.rounds, guests)]
    print(f"done: {dict(run.done)}")
    print(f"{run.checked} answers were right, {run.conflicts} conflicts at most")
    print("\n".join(found) or "nothing is wrong")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
