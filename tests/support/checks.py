"""What programs share that try things out, as `make test-systemd`."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec

P = ParamSpec("P")
Done = subprocess.CompletedProcess[str]

_MOST_S = 60


def ran(words: Sequence[str], *, check: bool = True, **options: Any) -> Done:
    """Run a program to its end, and keep what it prints."""
    done: Done = subprocess.run(
        words, check=check, capture_output=True, text=True, **options
    )
    return done


def lacks(target: str, why: str, needed: Mapping[str, str]) -> bool:
    """Tell, and say, whether root or programs are missing; by Debian's packages."""
    missing = sorted({needed[name] for name in needed if not shutil.which(name)})
    if os.geteuid() != 0:
        print(f"{target}: {why} takes root", file=sys.stderr)
    elif missing:
        print(f"{target}: apt-get install {' '.join(missing)}", file=sys.stderr)
    else:
        return False
    return True


def passes(check: Callable[P, str], *args: P.args, **words: P.kwargs) -> bool:
    """Run a check and print what came of it."""
    name = check.__name__.replace("_", " ")
    try:
        print(f"ok    {name:<25} {check(*args, **words)}", flush=True)
    except (AssertionError, OSError) as error:
        print(f"FAIL  {name:<25} {check.__doc__}\n{error}", flush=True)
        return False
    return True


def verdict(passed: Sequence[bool]) -> int:
    """Say how many checks have passed, and return the exit status."""
    print(f"{sum(passed)} of {len(passed)} checks pass")
    return 0 if all(passed) else 1


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


@contextlib.contextmanager
def nspawn(options: Sequence[str], log: Path, unit: str) -> Iterator[Callable[[], int]]:
    """Boot a container; gives what tells its first process, 0 while there is none."""
    words = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit"]
    words += ["--private-network", *options, "--boot"]
    words += ["systemd.firstboot=no", f"systemd.unit={unit}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )

    def leader() -> int:
        assert process.poll() is None, log.read_text()
        # Before the container's first process there are helpers that end.
        return next(iter(children_of(process.pid)), 0)

    try:
        yield leader
    finally:
        # SIGTERM ends the container with it.
        process.send_signal(signal.SIGTERM)
        process.wait(_MOST_S)
