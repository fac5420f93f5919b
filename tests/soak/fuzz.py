"""Three hostile guests on rings against one daemon, and two clients who must not care.

    python -m tests.soak.fuzz [--seconds S] [--seed N]

In each round three hostile guests do what they can, then end; what they had must be
gone, and nothing of it may be left in the counters, the log or, over all rounds, the
memory. A client of dom0 and a guest check every answer that they get meanwhile.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median, quantiles
from typing import Final, NamedTuple, Self, final

from tests.soak.hostile import ACTS, PATIENCE_S, PUBLIC
from tests.soak.observe import MIB, end_in_order, events, nodes, usage
from tests.soak.polite import PAUSE_S, Polite
from tests.support.daemons import CHECKOUT, environment, start_xsd
from tests.support.homes import home
from tests.support.hosts import Processor
from tests.support.processes import memory
from xsd.client import Client, Transaction
from xsd.protocol.errors import Errno, XenStoreError
from xsd.testing import PretendedHost

ROUNDS: Final = 12
"""Of a long run; the first quarter is there to warm up."""

HOSTILE: Final = (1, 2, 3)
POLITE: Final = 7

GROWTH_MAX: Final = 4 * MIB
"""Bytes that the daemon may have more after the last round than after a quarter of
them, each time without hostile guests."""

PEAK_MAX: Final = 128 * MIB
"""Bytes that it may ever have had, three times what it has when nothing is wrong."""

SLOWER_MAX: Final = 3.0
"""Times that the 99th percentile of dom0's round trips may grow in the median round.
Each is compared with the quiet time just before it, since others use the machine, too.
"""

NICE: Final = -10
"""Of the daemon, as its unit has it: with a processor for two of us each, the kernel
would stop it for milliseconds in the middle of what is measured."""

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
    quiet: float  # 99th percentile of dom0's round trips before, in seconds
    busy: float  # the same while hostile guests were there

    @property
    def slower(self) -> float:
        return self.busy / self.quiet


@final
class Run:
    """A daemon with a polite guest, and hostile ones in rounds."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.faults: list[str] = []
        self.done: Counter[str] = Counter()
        self.rounds: list[Round] = []
        self.conflicts = 0
        self.checked = 0
        self._log = directory / "log"
        self._seed = seed
        self._held = ExitStack()
        daemon = start_xsd(directory, "--hypervisor", "emulated")
        self._daemon = self._held.enter_context(daemon)
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, self._daemon.pid, NICE)
        self._path = str(self._daemon.socket)
        self._dom0 = self._held.enter_context(Client(self._path, timeout=PATIENCE_S))
        self._dom0.write("/bystander", b"")
        self._polite = Polite(self._dom0, b"/bystander")
        self._guest = self._python("polite", str(POLITE))
        assert self._guest.stdout is not None
        assert self._guest.stdout.readline() == "served\n"
        self._open_public()
        self._turn()
        self._before = usage(self._dom0, 0)
        self._nodes = self._look_at_nodes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def round(self, *, steps: int = 0, seconds: float = 0.0) -> None:
        """Have hostile guests do so many steps or seconds of what they do."""
        quiet = self._take_times()
        for _ in range(QUIET_TURNS if seconds else 1):
            self._turn()
        busy = self._take_times()
        self._seed += 1
        limits = (str(steps), str(seconds))
        guests = [
            self._python("hostile", str(domid), f"{self._seed}{domid}", *limits)
            for domid in HOSTILE
        ]
        processor = Processor(self._daemon.pid)
        begin, worked = time.monotonic(), processor.used()
        deadline = begin + seconds + PATIENCE_S
        while any(guest.poll() is None for guest in guests):
            if time.monotonic() > deadline:
                self.faults.append("a hostile guest does not come to its end")
                break
            self._turn()
        load = (processor.used() - worked) / (time.monotonic() - begin)
        for domid, guest in zip(HOSTILE, guests, strict=True):
            self._end_hostile(domid, guest)
        self.settle()
        pid = self._daemon.pid
        sizes = memory(pid), memory(pid, "VmHWM")
        times = quantiles(quiet, n=100)[98], quantiles(busy, n=100)[98]
        self.rounds.append(Round(*sizes, load, *times))

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

    def _take_times(self) -> list[float]:
        self._polite.round_trips = []
        return self._polite.round_trips

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
        for domid in HOSTILE:
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


def judge(rounds: list[Round]) -> list[str]:
    """Return what a long run has shown beside its faults: growth and delay."""
    found = []
    growth = rounds[-1].memory - rounds[len(rounds) // 4 - 1].memory
    if growth > GROWTH_MAX:
        found.append(f"the daemon's memory grew by {growth / MIB:.1f} MiB")
    if rounds[-1].peak > PEAK_MAX:
        found.append(f"the daemon's memory was {rounds[-1].peak / MIB:.0f} MiB once")
    slower = median(each.slower for each in rounds)
    if slower > SLOWER_MAX:
        found.append(f"dom0's slowest round trips take {slower:.1f} times as long")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Hostile guests against a daemon.")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    end_in_order()
    print(f"seed {arguments.seed}, {arguments.seconds:.0f} seconds", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="xs") as directory,
        Run(Path(directory), arguments.seed) as run,
    ):
        for number in range(1, ROUNDS + 1):
            run.round(seconds=arguments.seconds / ROUNDS)
            last = run.rounds[-1]
            print(
                f"round {number:2}: {last.memory / MIB:.1f} MiB, at most"
                f" {last.peak / MIB:.1f},"
                f" p99 {last.quiet * 1e6:.0f} -> {last.busy * 1e6:.0f} us"
                f" ({last.slower:.1f} times), daemon busy {last.load:.0%} of the time",
                flush=True,
            )
        run.end()
        found = [*run.faults, *judge(run.rounds)]
    print(f"done: {dict(run.done)}")
    print(f"{run.checked} answers were right, {run.conflicts} conflicts at most")
    print("\n".join(found) or "nothing is wrong")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
