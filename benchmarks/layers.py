"""Where the instructions of a request go, layer by layer.

    XSD_TEST_PYTHON=... python -m benchmarks.layers [--xsd OPTION] MODE [OPTION...]

MODE and its options are the load generator's, such as `read-sync`, `write-sync`,
`tx-rmw` or `pipe -d 64 -w`; XSD_TEST_PYTHON names the interpreter of a compiled build,
such as `build/bench/venv/bin/python` after `make bench`. Three daemons are put under
that load: one under valgrind, which counts instructions outside the kernel by function;
one under strace, which counts calls of the kernel; and one alone, for the time.
Instructions do not depend on what else the machine does, and hardly on the machine.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.sides import ROOT, FailedError, Result, run_load
from tests.conftest import find_program
from tests.support.daemons import answers, environment, interpreter

LAYERS: Final = (
    *("protocol", "store", "engine", "transport", "persistence", "hypervisor"),
)
RUNTIME: Final = "Python's runtime"
LOOP: Final = "uvloop"
LIBRARY: Final = "C library"
OTHERS: Final = "others"

SECONDS: Final = 1.0
PATIENCE_S: Final = 120.0
"""What runs under valgrind is fifty times as slow."""

_ANNOTATE: Final = ("--inclusive=no", "--threshold=99.9", "--auto=no")
_LINE: Final = re.compile(r"^ *([\d,]+) \( *[\d.]+%\)  (.*?)(?: \[(.*)\])?$")
_TOTAL: Final = re.compile(r"([\d,]+) \(100\.0%\)  PROGRAM TOTALS")
_OURS: Final = re.compile(r"\bCPy(?:Def|Py|Gen|Static)?_(\w+)$|\b(\w+___\w+)$")
_CALLS: Final = re.compile(
    r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", re.MULTILINE
)


def modules() -> dict[str, str]:
    """Return the layer of each module whose name only one layer has."""
    found: dict[str, set[str]] = {}
    for layer in LAYERS:
        for path in (ROOT / "xsd" / layer).glob("*.py"):
            found.setdefault(path.stem, set()).add(layer)
    return {name: each.pop() for name, each in found.items() if len(each) == 1}


def layer_of(function: str, binary: str, known: dict[str, str]) -> str:
    """Return what a function of a binary belongs to.

    Compiled ones are named for their modules: `CPyDef_xsd___store___tree___find`, or
    as much of that as tells one module from the others.
    """
    name = function.rpartition(":")[2]
    if "__mypyc" in binary:
        ours = _OURS.search(name)
        parts = (ours[1] or ours[2]).split("___") if ours else []
        for part in parts[:2]:
            if part in LAYERS:
                return part
        return known.get(parts[0], RUNTIME) if parts else RUNTIME
    if "uvloop" in binary:
        return LOOP
    if re.search(r"/(?:libc|ld-linux|libpthread|libm)\b", binary):
        return LIBRARY
    if "python" in f"{binary} {function}".lower():
        return RUNTIME
    return OTHERS


def by_layer(annotated: str, known: dict[str, str]) -> Counter[str]:
    """Add up what `callgrind_annotate` printed of functions.

    Raises:
        FailedError: If it printed no total.
    """
    total = _TOTAL.search(annotated)
    if total is None:
        raise FailedError("callgrind_annotate prints no total")
    found: Counter[str] = Counter()
    for line in annotated[total.end() :].splitlines():
        each = _LINE.match(line)
        if each:
            count = int(each[1].replace(",", ""))
            found[layer_of(each[2], each[3] or "", known)] += count
    rest = int(total[1].replace(",", "")) - found.total()
    if rest > 0:  # functions that are too small to be printed
        found[OTHERS] += rest
    return found


def calls(summary: str) -> dict[str, int]:
    """Return the calls of the kernel that `strace -c` counted."""
    found = {name: int(count) for count, name in _CALLS.findall(summary)}
    found.pop("total", None)
    return found


def table(found: Counter[str], ops: float) -> Iterator[str]:
    """Write what each layer has of one request, in markdown."""
    yield "| layer | instructions a request | share |"
    yield "|---|---:|---:|"
    for name in (*LAYERS, LOOP, RUNTIME, LIBRARY, OTHERS):
        if found[name]:
            share = found[name] / found.total()
            yield f"| {name} | {found[name] / ops:,.0f} | {share:.0%} |"
    yield f"| all | {found.total() / ops:,.0f} | 100% |"


def carried_out(mode: list[str], result: Result) -> float:
    """Return how many requests there were, with those before it began to count."""
    warm_s = 0.2 if mode[0] == "pipe" or mode[0].endswith("-sync") else 0.3
    return result["ops"] * (1 + warm_s / SECONDS)


@contextmanager
def daemon(directory: Path, *before: str, options: list[str]) -> Iterator[int]:
    """A daemon that is run by another program.

    Raises:
        FailedError: If it does not answer in time.
    """
    words = [*before, *interpreter(), "-m", "xsd.daemon.xenstored", "-N"]
    places = {
        "XENSTORED_PATH": str(directory / "socket"),
        "XENSTORED_RUNDIR": str(directory),
    }
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [*words, "--hypervisor", "emulated", "--journal", *options],
            env={**environment(), **places},
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not answers(directory / "socket"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise FailedError((directory / "log").read_text(errors="replace"))
            time.sleep(0.05)
        time.sleep(0.5)
        yield process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def instructions(mode: list[str], options: list[str]) -> tuple[Counter[str], float]:
    """Return how many each layer has carried out, and for how many requests."""
    valgrind = find_program("valgrind", "valgrind")
    tools = Path(valgrind).parent
    with tempfile.TemporaryDirectory(prefix="xsb") as made:
        directory = Path(made)
        out = directory / "callgrind"
        before = (
            *(
                valgrind,
                "--tool=callgrind",
                "--instr-atstart=no",
                "--trace-children=yes",
            ),
            f"--callgrind-out-file={out}.%p",
        )
        with daemon(directory, *before, options=options) as pid:
            run_load(directory / "socket", mode, 0.3)
            switch = [f"{tools}/callgrind_control", "-i"]
            subprocess.run([*switch, "on", str(pid)], check=True, capture_output=True)  # noqa: S603
            result = run_load(directory / "socket", mode, SECONDS)
            subprocess.run([*switch, "off", str(pid)], check=True, capture_output=True)  # noqa: S603
        text = subprocess.check_output(  # noqa: S603
            [f"{tools}/callgrind_annotate", *_ANNOTATE, _largest(directory)],
            text=True,
        )
    return by_layer(text, modules()), carried_out(mode, result)


def _largest(directory: Path) -> Path:
    """Return what was counted of the daemon, and not of what it has run."""
    return max(directory.glob("callgrind.*"), key=lambda path: path.stat().st_size)


def kernel(mode: list[str], options: list[str]) -> dict[str, float]:
    """Return how often the kernel is called for one request."""
    strace = find_program("strace", "strace")
    with tempfile.TemporaryDirectory(prefix="xsb") as made:
        directory = Path(made)
        out = directory / "calls"
        with daemon(directory, options=options) as pid:
            words = [strace, "-c", "-f", "-qq", "-o", str(out), "-p", str(pid)]
            tracer = subprocess.Popen(words)  # noqa: S603
            time.sleep(0.5)
            result = run_load(directory / "socket", mode, SECONDS)
            tracer.terminate()
            tracer.wait(PATIENCE_S)
        found = calls(out.read_text(encoding="utf-8"))
    ops = carried_out(mode, result)
    return {name: count / ops for name, count in found.items()}


def alone(mode: list[str], options: list[str]) -> tuple[float, float]:
    """Return microseconds of the daemon's processor, and the kernel's part of them."""
    with tempfile.TemporaryDirectory(prefix="xsb") as made:
        directory = Path(made)
        with daemon(directory, options=options) as pid:

            def ticks() -> tuple[int, int]:
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()
                return int(fields[13]), int(fields[14])

            before = ticks()
            result = run_load(directory / "socket", mode, SECONDS)
            after = ticks()
    user, system = (b - a for a, b in zip(before, after, strict=True))
    return result["srv_cpu_us_per_op"], system / max(1, user + system)


def main() -> int:
    """Measure one kind of request and print its table."""
    parser = argparse.ArgumentParser(prog="benchmarks.layers")
    parser.add_argument("--xsd", action="append", default=[], help="for the daemon")
    parser.add_argument("mode", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    mode = options.mode or ["read-sync"]
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    time_us, share = alone(mode, options.xsd)
    called = kernel(mode, options.xsd)
    found, ops = instructions(mode, options.xsd)
    print("\n".join(table(found, ops)))
    often = sorted(called.items(), key=lambda each: -each[1])
    shown = ", ".join(f"{name} {count:.2f}" for name, count in often if count > 0.005)
    print(f"\nCalls of the kernel for each: {shown}.")
    print(f"The daemon's processor: {time_us:.1f} µs, {share:.0%} of it in the kernel.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
