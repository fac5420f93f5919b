"""A thousand domains come and go, several times: nothing of them may stay.

python -m tests.soak.soak [--domains N] [--rounds N]
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from tests.soak.observe import MIB, end_in_order, events, nodes, usage
from tests.soak.toolstack import BACKEND, FRONTEND, Toolstack
from tests.support.daemons import start_xsd
from tests.support.processes import descriptors, memory, wait_until

GROWTH_MAX: Final = 4 * MIB
"""Bytes that the daemon may have more after the last round than after the first."""

KEPT_MAX: Final = 48 * MIB
"""Bytes that it may have more after the first round than before: what the allocator
does not give back. Nothing is added to that by further rounds."""

LOGGED: Final = frozenset({"daemon.serving", "store.checked"})


class State(NamedTuple):
    """What must be the same after a round as before."""

    dom0: dict[str, int] | None  # its counters
    domains: list[int]  # of the hypervisor
    known: list[int]  # to the store
    descriptors: int
    nodes: frozenset[bytes]  # with their permissions


def look(toolstack: Toolstack, pid: int, count: int) -> State:
    known = [n for n in range(1, count + 1) if usage(toolstack.dom0, n) is not None]
    dom0 = usage(toolstack.dom0, 0)
    there = nodes(toolstack.dom0)
    return State(dom0, toolstack.domains(), known, descriptors(pid), there)


def come_and_go(toolstack: Toolstack, pid: int, count: int) -> int:
    """Have so many domains at once; return the daemon's memory with all of them."""
    domains = [toolstack.create(domid) for domid in range(1, count + 1)]
    for domain in domains:
        domain.watch()
    for domain in domains:
        toolstack.connect(domain)
    for domain in domains:
        found = usage(toolstack.dom0, domain.domid)
        if found is None or found["watches"] != 3 or found["nodes"] < len(FRONTEND):
            raise AssertionError(f"dom{domain.domid} has {found}")
    most = memory(pid)
    for domain in domains:
        toolstack.destroy(domain)
    return most


def soak(directory: Path, count: int, rounds: int) -> list[str]:
    faults = []
    left = []
    with (
        start_xsd(directory, "--hypervisor", "emulated") as daemon,
        Toolstack(str(daemon.socket)) as toolstack,
    ):
        # What is never removed: the directories that backends are in.
        toolstack.dom0.mkdir("/local/domain/0/backend/vif")
        start = look(toolstack, daemon.pid, count)
        left.append(memory(daemon.pid))
        for number in range(1, rounds + 1):
            begin = time.monotonic()
            most = come_and_go(toolstack, daemon.pid, count)
            wait_until(
                lambda: descriptors(daemon.pid) <= start.descriptors,
                "descriptors are left open",
            )
            toolstack.dom0.control("check")
            state = look(toolstack, daemon.pid, count)
            if state != start:
                more = sorted(state.nodes - start.nodes)[:5]
                faults.append(f"round {number} left {state[:-1]} and {more}")
            left.append(memory(daemon.pid))
            print(
                f"round {number}: {count} domains, {time.monotonic() - begin:.0f} s,"
                f" {most / MIB:.1f} MiB with all, {left[-1] / MIB:.1f} MiB after"
                f" (at first {left[0] / MIB:.1f}),"
                f" {state.descriptors} descriptors",
                flush=True,
            )
        logged = events(directory / "log")
    if left[1] - left[0] > KEPT_MAX or left[-1] - left[1] > GROWTH_MAX:
        faults.append(f"the daemon's memory is {[n // MIB for n in left]} MiB")
    if not logged.keys() <= LOGGED:
        faults.append(f"logged: {dict(logged)}")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description="Domains come and go.")
    parser.add_argument("--domains", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    end_in_order()
    print(f"{len(FRONTEND) + len(BACKEND)} nodes with values for each domain")
    with tempfile.TemporaryDirectory(prefix="xs") as directory:
        faults = soak(Path(directory), arguments.domains, arguments.rounds)
    print("\n".join(faults) or "nothing is left")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
