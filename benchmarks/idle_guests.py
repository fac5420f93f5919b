"""What an idle guest costs in memory: a domain on a ring, with watches and its nodes.

    python -m benchmarks.idle_guests [--guests N]

Prints how much the daemon's resident memory grows for each guest that is connected and
asks for nothing: with a ring and three watches, and with 40 nodes that have values (and
those above them) and the toolstack's watch beside that. A fresh daemon for each, which
has had a few guests before.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Final

from tests.soak.observe import usage
from tests.soak.toolstack import Domain, Toolstack
from tests.support.daemons import start_xsd
from tests.support.processes import memory

WARM_UP: Final = 20
"""Guests before those that count."""


def cost(count: int, *, nodes: bool) -> float:
    """Return KiB of one of so many guests."""
    with (
        tempfile.TemporaryDirectory(prefix="xs") as directory,
        start_xsd(Path(directory), "--hypervisor", "emulated") as daemon,
        Toolstack(str(daemon.socket)) as toolstack,
    ):

        def add(first: int, number: int) -> list[Domain]:
            domains = []
            for domid in range(first, first + number):
                domain = toolstack.create(domid, nodes=nodes)
                domain.watch()
                domains.append(domain)
            return domains

        domains = add(1, WARM_UP)
        before = memory(daemon.pid)
        domains += add(WARM_UP + 1, count)
        used = usage(toolstack.dom0, domains[-1].domid)
        if used is None or used["watches"] != 3:
            raise RuntimeError(f"the last guest has {used}")
        grown = memory(daemon.pid) - before
        for domain in domains:
            domain.close()
    return grown / count / 1024


def main() -> None:
    """Measure both kinds and print one line."""
    parser = argparse.ArgumentParser(description="Memory of idle guests.")
    parser.add_argument("--guests", type=int, default=500)
    count = parser.parse_args().guests
    bare, full = cost(count, nodes=False), cost(count, nodes=True)
    print(
        f"{count} idle guests: {bare:.1f} KiB each with ring and 3 watches,"
        f" {full:.1f} KiB with 40 nodes, too"
    )


if __name__ == "__main__":
    main()
