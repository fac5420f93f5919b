"""Real Xen with our daemon: what `make test-xen` runs.

    python3 -m tests.xen.run [--xenstored xsd|c|ocaml] [--list] [SCENARIO...]

builds the images if need be, starts machines one after the other, and prints one line
for each scenario. Without names, all are run. The exit code is 0 if all have passed.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, final

from tests.xen.images import build, cache_directory
from tests.xen.machine import Job, MachineError, start

ROOT: Final = Path(__file__).resolve().parents[2]
SITE: Final = "/opt/xsd/site"
BIN: Final = "/usr/lib/xen-4.17/bin"
PID_FILE: Final = "/run/xenstored.pid"

DAEMONS: Final = {
    "xsd": f"/usr/bin/python3 -m xsd.daemon.xenstored -N --pid-file {PID_FILE}",
    "c": f"{BIN}/xenstored -N --pid-file {PID_FILE}",
    "ocaml": f"{BIN}/oxenstored --no-fork --pid-file {PID_FILE}",
}

DIRECT: Final = (
    *("dom0-comes-up", "pv-guest-lives", "pvh-guest-lives", "eight-guests-at-once"),
    *("destroyed-guest-leaves-nothing", "guest-reboots", "guest-is-saved-and-restored"),
    *("guest-is-paused-and-renamed", "devices-come-and-go", "domid-is-used-again"),
    *("hostile-kernels-disturb-nobody", "hostile-programs-disturb-nobody", "speed"),
)
"""What is run where the daemon is started directly."""

MACHINES: Final = {
    "direct": DIRECT,
    "launch-xenstore": ("launch-xenstore-starts-it",),
    "debian": ("debian-starts-it",),
    "debian-back": ("debian-goes-back",),
    "c": ("host-moves-and-returns",),
}
"""How a machine's daemon is started, and what is run there, in this order."""

ON_REQUEST: Final = frozenset({"speed"})
"""What is run only if it is named."""

PLATFORMS: Final = ("manylinux_2_28_x86_64", "manylinux2014_x86_64", "linux_x86_64")


def install(directory: Path) -> None:
    """Get our wheel and what it needs for dom0's Python, and install it in `site`."""
    wheels, site = directory / "wheels", directory / "site"
    for old in (wheels, site):
        shutil.rmtree(old, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", wheels, ROOT], check=True)
    (wheel,) = wheels.glob("*.whl")
    dom0 = (
        *("--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"),
        *(f"--platform={name}" for name in PLATFORMS),
    )
    subprocess.run([*pip, "download", "-d", wheels, *dom0, wheel], check=True)
    files = ("--no-index", "--find-links", wheels)
    subprocess.run([*pip, "install", "-t", site, *files, *dom0, wheel], check=True)


@final
class Results:
    """What the scenarios' machines have told."""

    def __init__(self) -> None:
        self.failed: set[str] = set()  # or not run
        self._text: list[str] = []

    def take(self, line: str) -> None:
        if line.startswith("@note "):
            print(line.removeprefix("@note "), flush=True)
        elif line.startswith("@result "):
            _, name, result, seconds = line.split()
            print(f"{result}  {name:<34} {seconds:>6} s")
            if result == "PASS":
                self.failed.discard(name)
                self._text.clear()
            self.rest("    ")
        elif line != "@end":
            self._text.append(line)

    def rest(self, indent: str = "") -> None:
        """Print what machines have printed since the last result."""
        print("".join(f"{indent}{text}\n" for text in self._text), end="", flush=True)
        self._text.clear()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.xen.run", description=__doc__)
    parser.add_argument("--xenstored", choices=DAEMONS, default="xsd")
    parser.add_argument("--options", default="", help="more words for the daemon")
    parser.add_argument("--logs", type=Path, help="where the logs are left")
    parser.add_argument("--timeout", type=float, default=3600, metavar="S")
    parser.add_argument("--list", action="store_true", help="print the scenarios")
    parser.add_argument("scenarios", nargs="*")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    # The other starts are of our daemon.
    machines = MACHINES if arguments.xenstored == "xsd" else {"direct": DIRECT}
    known = [name for names in machines.values() for name in names]
    chosen = arguments.scenarios or [n for n in known if n not in ON_REQUEST]
    if arguments.list:
        print("\n".join(known))
        return 0
    if unknown := set(chosen) - set(known):
        sys.exit(f"no such scenario: {', '.join(sorted(unknown))}")
    cache = cache_directory()
    build(cache)
    if not shutil.which("qemu-system-x86_64"):
        sys.exit("qemu-system-x86_64 is missing: apt-get install qemu-system-x86")
    install(cache)
    results = Results()
    for how, names in machines.items():
        wanted = [name for name in names if name in chosen]
        if wanted:
            run_machine(how, wanted, results, arguments)
    if results.failed:
        print(f"not passed: {', '.join(sorted(results.failed))}")
    return 1 if results.failed else 0


def run_machine(
    how: str, names: list[str], results: Results, arguments: argparse.Namespace
) -> None:
    results.failed.update(names)
    cache = cache_directory()
    logs = (arguments.logs or cache / "logs") / how

    def prepare(job: Job) -> None:
        job.add(cache / "site", SITE)
        job.add(cache / "wheels", "/opt/xsd/wheels")
        job.add(ROOT / "tests/xen", "/opt/xsd/tests/xen")
        job.add(ROOT / "docs" / "replacing.md", "/opt/xsd/docs/replacing.md")
        job.run(
            ["python3", "-m", "tests.xen.dom0.runner", how, *names],
            {
                "PYTHONPATH": f"{SITE}:/opt/xsd",
                "PYTHONUNBUFFERED": "1",
                "XSD_XENSTORED": f"{DAEMONS[arguments.xenstored]} {arguments.options}",
            },
        )

    try:
        start(cache, prepare, results.take, logs=logs, timeout_s=arguments.timeout)
    except MachineError as error:
        print(error)
    results.rest()


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
