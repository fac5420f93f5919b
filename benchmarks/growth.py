"""`make bench-growth`: what grows with the number of domains, ours and Xen's own.

    python -m benchmarks.growth [--most N] [--daemons NAME,...]

Domains come one after the other, as in a boot storm, up to 10,000: a toolstack makes
40 nodes for each in a transaction and introduces it, and its guest, on its ring, sets
three watches and writes its state. At each of some numbers this prints

- the storm: seconds of the daemon's processor for all domains so far, and of the clock,
- how long a WRITE of dom0 takes that no guest is told of, p50 and p99, with daemon and
  load generator on one core,
- the daemon's memory.

Ours is on its emulated hypervisor, the others on the pretended Xen of `tests/peers`,
which has 4,095 event channels for a daemon, as many as Linux by its older interface:
there they end. A daemon also ends where the next number of domains takes five minutes.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Protocol, final

from benchmarks import plot
from benchmarks.report import RESULTS, shown
from benchmarks.sides import (
    BASE,
    OURS,
    STARTS,
    FailedError,
    missing,
    on_core,
    run_load,
    running,
)
from tests.peers.domu import DomU
from tests.soak.toolstack import BACKEND, FRONTEND, STATE, backend
from tests.support.homes import home
from tests.support.processes import memory
from tests.support.worlds import ShimTransport
from xsd.client import Transport
from xsd.client.transport import SocketTransport
from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.testing import PretendedHost

LEVELS: Final = (10, 100, 1_000, 4_000, 10_000)
PATIENCE_S: Final = 60.0
STORM_S: Final = 300.0
WRITES_S: Final = 1.0
SHIM_DOMAINS: Final = 4_000
"""Of the 4,095 event channels of the pretended Xen, a few are the daemon's own."""

WATCHED: Final = (b"control/shutdown", b"memory")


class Point(NamedTuple):
    """What a daemon takes with so many domains."""

    domains: int
    storm_cpu_s: float
    storm_s: float
    p50_us: float
    p99_us: float
    memory_mb: float


@final
class Talk:
    """Requests to a daemon, many at once."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._decoder = FrameDecoder()

    def ask(self, frames: list[bytes]) -> bytes:
        """Send requests and wait for all replies; return the last one's payload.

        Raises:
            FailedError: If one of them is an error.
        """
        self._transport.send(b"".join(frames), PATIENCE_S)
        left, payload = len(frames), b""
        while left:
            for frame in self._decoder.feed(self._transport.receive(PATIENCE_S)):
                if frame.op == Op.WATCH_EVENT:
                    continue
                payload = frame.payload
                if frame.op == Op.ERROR:
                    raise FailedError(f"a request fails: {payload!r}")
                left -= 1
        return payload


class Host(Protocol):
    """A hypervisor on which guests are made."""

    def guest(self, domid: int, dom0: Talk) -> None:
        """Make a domain and its nodes, introduce it, have its guest do what it does."""


def introduced(dom0: Talk, domid: int, port: int) -> None:
    """Tell the daemon of a domain."""
    dom0.ask([encode_frame(Op.INTRODUCE, 1, 0, b"%d\0001\0%d\0" % (domid, port))])


def begin(talk: Talk, domid: int) -> None:
    """Do what a guest does first."""
    paths = (backend(domid) + b"/state", *WATCHED)
    watches = [encode_frame(Op.WATCH, 1, 0, path + b"\0guest\0") for path in paths]
    state = STATE.encode() + b"\0003"
    talk.ask([*watches, encode_frame(Op.WRITE, 1, 0, state)])


@final
class Emulated:
    """That of our daemon."""

    def __init__(self, socket: Path) -> None:
        self._host = PretendedHost(f"{socket}.hypervisor", timeout=PATIENCE_S)

    def guest(self, domid: int, dom0: Talk) -> None:
        guest = self._host.create(domid, lazy=True, timeout=PATIENCE_S)
        build(dom0, domid)
        introduced(dom0, domid, guest.port)
        begin(Talk(guest.transport), domid)
        guest.close()  # the domain stays


@final
class Shim:
    """The one on which Xen's own daemons are run."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "shim"

    def guest(self, domid: int, dom0: Talk) -> None:
        if domid > SHIM_DOMAINS:
            raise FailedError("the pretended Xen has no more event channels")
        guest = DomU(self._directory, domid, timeout=PATIENCE_S)
        build(dom0, domid)
        introduced(dom0, domid, guest.port)
        begin(Talk(ShimTransport(guest)), domid)
        # Its files stay, and with them the domain.
        os.close(guest.kick)
        guest.words.release()
        guest.map.close()


def build(dom0: Talk, domid: int) -> None:
    """Make the nodes of a domain in a transaction, as a toolstack does."""
    started = dom0.ask([encode_frame(Op.TRANSACTION_START, 1, 0, b"\0")])
    number = int(started[:-1])

    def frame(op: Op, payload: bytes) -> bytes:
        return encode_frame(op, 1, number, payload)

    own, other = home(domid), backend(domid)
    frames = [
        frame(Op.MKDIR, own + b"\0"),
        frame(Op.SET_PERMS, own + b"\0n%d\0" % domid),
        frame(Op.MKDIR, other + b"\0"),
        frame(Op.SET_PERMS, other + b"\0n0\0r%d\0" % domid),
    ]
    for top, names in ((own, FRONTEND), (other, BACKEND)):
        frames += [
            frame(Op.WRITE, top + b"/" + name.encode() + b"\x000") for name in names
        ]
    dom0.ask([*frames, frame(Op.TRANSACTION_END, b"T\0")])


def worked(pid: int) -> float:
    """Return the seconds of a processor that a daemon has had."""
    fields = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
    return int(fields[0]) / 1e9


def levels(name: str, most: int) -> Iterator[Point]:
    """Add domains to a daemon and measure at each level.

    Raises:
        FailedError: Where it ends.
    """
    cores = sorted(os.sched_getaffinity(0))
    with running(name, cores[0]) as (daemon, directory, _):
        host: Host = Emulated(daemon.socket) if name == OURS else Shim(directory)
        with dom0_of(daemon.socket) as dom0, on_core(cores[-1]):
            domid, clock, cpu = 0, 0.0, 0.0
            for level in LEVELS:
                if level > most:
                    return
                begun, before = time.perf_counter(), worked(daemon.pid)
                while domid < level:
                    domid += 1
                    host.guest(domid, dom0)
                    if time.perf_counter() - begun > STORM_S:
                        raise FailedError(
                            f"the next have come to {domid:,} in {STORM_S:.0f} s"
                        )
                clock += time.perf_counter() - begun
                cpu += worked(daemon.pid) - before
                used = memory(daemon.pid) / 1e6
                with on_core(cores[0]):
                    found = run_load(daemon.socket, ["write-sync"], WRITES_S)
                yield Point(level, cpu, clock, found["p50_us"], found["p99_us"], used)


@contextmanager
def dom0_of(socket: Path) -> Iterator[Talk]:
    """A client of dom0."""
    transport = SocketTransport(str(socket), PATIENCE_S)
    try:
        yield Talk(transport)
    finally:
        transport.close()


_HEAD: Final = (
    "| daemon | domains | storm, s of its processor | storm, s | WRITE p50, µs"
    " | p99, µs | memory, MB |"
)


def write(points: dict[str, list[Point]], ends: dict[str, str], out: Path) -> None:
    """Write the table, the figures and the plot."""
    out.mkdir(parents=True, exist_ok=True)
    kept = {"points": points, "ends": ends}
    (out / "growth.json").write_text(json.dumps(kept, indent=1) + "\n")
    lines = [
        "# Growth with the number of domains",
        "",
        "Written by `make bench-growth`; see [the benchmarks](../README.md).",
        "",
        "![Boot storm, WRITE and memory by the number of domains](growth.png)",
        "",
        _HEAD,
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, each in points.items():
        for point in each:
            figures = " | ".join(shown(value) for value in point[1:])
            lines.append(f"| {name} | {point.domains:,} | {figures} |")
    if ends:
        lines += ["", "Where they end:", ""]
        lines += [f"- {name}: {reason}" for name, reason in ends.items()]
    (out / "growth.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw(points, out / "growth.png")


def draw(points: dict[str, list[Point]], target: Path) -> None:
    """Draw the three of them beside each other."""
    storm, latency, used = {}, {}, {}
    for name, each in points.items():
        if not each:
            continue
        storm[name] = [(point.domains, point.storm_cpu_s) for point in each]
        latency[f"{name}, p50"] = [(point.domains, point.p50_us) for point in each]
        latency[f"{name}, p99"] = [(point.domains, point.p99_us) for point in each]
        used[name] = [(point.domains, point.memory_mb) for point in each]
    panels = {
        "boot storm, s of the daemon's processor": storm,
        "one WRITE, µs": latency,
        "memory, MB": used,
    }
    dashed = frozenset(name for name in latency if name.endswith("p99"))
    plot.growth(panels, dashed, target)


def main() -> int:
    """Measure each daemon and write the results."""
    parser = argparse.ArgumentParser(prog="benchmarks.growth")
    parser.add_argument("--most", type=int, default=LEVELS[-1], help="domains")
    parser.add_argument("--daemons", default=f"{BASE},{OURS}")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    points: dict[str, list[Point]] = {}
    ends: dict[str, str] = {}
    for name in options.daemons.split(","):
        if name not in STARTS:
            parser.error(f"there is no daemon {name!r}")
        if reason := missing(name):
            ends[name] = reason
            continue
        points[name] = []
        try:
            for point in levels(name, options.most):
                points[name].append(point)
                figures = " ".join(shown(value) for value in point[1:])
                print(f"{name} {point.domains}: {figures}", flush=True)
        except (FailedError, OSError) as error:
            last = points[name][-1].domains if points[name] else 0
            ends[name] = f"after {last:,} domains: {error}"
            print(f"{name} ends {ends[name]}", flush=True)
    write(points, ends, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
