"""Runs scenarios in dom0: python3 -m tests.xen.dom0.runner START SCENARIO...

START is how the daemon is started: `direct`, with the words of XSD_XENSTORED, or
`none`. Lines with `@` at the beginning are for whoever started the machine:

    @result NAME PASS|FAIL SECONDS
    @note TEXT
    @end
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.xen.dom0 import crowd, lives, start
from tests.xen.dom0.toolstack import Dom0, ScenarioError, run
from xsd.client import Client, NotListeningError

LOGS: Final = Path("/job/logs")
PID_FILE: Final = "/run/xenstored.pid"
BIN: Final = "/usr/lib/xen-4.17/bin"

Scenario = Callable[[Dom0], None]
SCENARIOS: Final[dict[str, Scenario]] = {
    scenario.__name__.replace("_", "-"): scenario
    for module in (start, lives, crowd)
    for scenario in module.SCENARIOS
}


def say(line: str) -> None:
    """Print a line, now."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def start_daemon() -> None:
    """Start the daemon, and Xen's own daemons that need it."""
    words = shlex.split(os.environ["XSD_XENSTORED"])
    # Where the init script makes them; libxl and xenconsoled need the second.
    for directory in ("/run/xenstored", "/run/xen"):
        Path(directory).mkdir(exist_ok=True)
    with (LOGS / "xenstored.log").open("wb") as log:
        daemon = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "XENSTORED_ROOTDIR": "/run/xenstored"},
        )
    deadline = time.monotonic() + 120
    while not answers():
        if daemon.poll() not in {None, 0} or time.monotonic() > deadline:
            raise ScenarioError(f"the daemon does not start: {shlex.join(words)}")
        time.sleep(0.1)
    run(f"{BIN}/xen-init-dom0")
    start_console_daemon()
    # Guests that boot must not keep dom0 from its work: the toolstack gives backends
    # 10 s to appear, which is little on an emulated machine with eight guests.
    run("xl", "sched-credit2", "-d", "Domain-0", "-w", "16384")


def answers() -> bool:
    """Tell whether a daemon listens and answers."""
    try:
        with Client(timeout=60) as client:
            client.directory("/")
    except NotListeningError:
        return False
    return True


def start_console_daemon() -> None:
    """Start xenconsoled, which goes to the background by itself."""
    log = "/var/log/xen/console"
    Path(log).mkdir(parents=True, exist_ok=True)
    run(f"{BIN}/xenconsoled", "--log=all", f"--log-dir={log}")


def prepare_host() -> None:
    """Load what dom0 needs of its kernel, and make the guests' bridge."""
    for module in ("xenfs", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd"):
        run("modprobe", module)
    if not Path("/proc/xen/capabilities").exists():
        run("mount", "-t", "xenfs", "xenfs", "/proc/xen")
    run("modprobe", "-a", "xen-netback", "xen-blkback", "loop", "bridge")
    shutil.copy(Path(__file__).with_name("block-plain"), "/etc/xen/scripts")
    run("ip", "link", "add", "xenbr0", "type", "bridge")
    run("ip", "addr", "add", "10.9.9.1/24", "dev", "xenbr0")
    run("ip", "link", "set", "xenbr0", "up")


def run_scenario(name: str, dom0: Dom0) -> None:
    """Run one scenario and tell how it went."""
    begun = time.monotonic()
    result = "PASS"
    try:
        SCENARIOS[name](dom0)
    except Exception:  # noqa: BLE001  whatever it is, the others are run
        result = "FAIL"
        say(traceback.format_exc())
    say(f"@result {name} {result} {time.monotonic() - begun:.1f}")
    if result == "FAIL":
        say(run("xenstore-ls", "-f"))
    try:
        dom0.clean()
    except ScenarioError:
        say(traceback.format_exc())


def main(how: str, names: list[str]) -> None:
    """Start the daemon and run scenarios."""
    prepare_host()
    if how == "direct":
        start_daemon()
    dom0 = Dom0()
    for name in names:
        run_scenario(name, dom0)
    say(f"@note the daemon has used {daemon_seconds():.1f} s of processor time")


def daemon_seconds() -> float:
    """Processor time of the daemon so far."""
    pid = Path(PID_FILE).read_text("ascii").strip()
    # After the name, which may have blanks: utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except Exception:  # noqa: BLE001  there is nobody else to tell it
        say(traceback.format_exc())
    say("@end")
