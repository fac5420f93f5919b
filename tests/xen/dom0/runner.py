"""Runs scenarios in dom0: python3 -m tests.xen.dom0.runner START SCENARIO...

START is how the daemon is started, one of `starts.STARTS`. Lines with `@` at the
beginning are for whoever started the machine:

    @result NAME PASS|FAIL SECONDS
    @note TEXT
    @end
"""

import shutil
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.xen.dom0 import crowd, hostile, lives, moves, speed, start
from tests.xen.dom0.starts import STARTS
from tests.xen.dom0.toolstack import Dom0, ScenarioError, attempt, daemon_seconds, run

Scenario = Callable[[Dom0], None]
SCENARIOS: Final[dict[str, Scenario]] = {
    scenario.__name__.replace("_", "-"): scenario
    for module in (start, lives, crowd, hostile, moves, speed)
    for scenario in module.SCENARIOS
}


def say(line: str) -> None:
    print(line, flush=True)


def prepare_host() -> None:
    """Load what dom0 needs of its kernel, and make the guests' bridge."""
    for module in ("xenfs", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd"):
        run("modprobe", module)
    if not Path("/proc/xen/capabilities").exists():
        run("mount", "-t", "xenfs", "xenfs", "/proc/xen")
    run("modprobe", "-a", "xen-netback", "xen-blkback", "loop", "bridge")
    for script in ("block-plain", "vif-plain"):
        shutil.copy(Path(__file__).with_name(script), "/etc/xen/scripts")
    run("ip", "link", "add", "xenbr0", "type", "bridge")
    run("ip", "addr", "add", "10.9.9.1/24", "dev", "xenbr0")
    run("ip", "link", "set", "xenbr0", "up")


def run_scenario(name: str, dom0: Dom0) -> None:
    begun = time.monotonic()
    result = "PASS"
    try:
        SCENARIOS[name](dom0)
    except Exception:  # noqa: BLE001  whatever it is, the others are run
        result = "FAIL"
        say(traceback.format_exc())
        say(attempt("xenstore-ls", "-f")[1])
    say(f"@result {name} {result} {time.monotonic() - begun:.1f}")
    try:
        dom0.clean()
    except ScenarioError:
        say(traceback.format_exc())


def main(how: str, names: list[str]) -> None:
    """Start the daemon and run scenarios."""
    prepare_host()
    STARTS[how]()
    dom0 = Dom0()
    for name in names:
        run_scenario(name, dom0)
    say(f"@note the daemon has used {daemon_seconds():.1f} s of processor time")


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except Exception:  # noqa: BLE001  there is nobody else to tell it
        say(traceback.format_exc())
    say("@end")
