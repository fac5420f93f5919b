"""The ways in which dom0 gets its daemon, and what else has to be started."""

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.xen.dom0.toolstack import ScenarioError, run, until
from xsd.client import Client, NotListeningError

LOGS: Final = Path("/job/logs")
WHEELS: Final = "/opt/xsd/wheels"
PLACE: Final = "/opt/xenstored"
PROGRAM: Final = f"{PLACE}/bin/xenstored"
BIN: Final = "/usr/lib/xen-4.17/bin"
C_PROGRAM: Final = f"{BIN}/xenstored"
FOREGROUND: Final = ("-N", "--pid-file", "/run/xenstored.pid")

XENCOMMONS: Final = Path("/etc/default/xencommons")
TRACE: Final = "/var/log/xen/xenstored.log"
DEBIAN: Final = Path("/etc/default/xen")


def directly() -> None:
    """Start the command XSD_XENSTORED, and what needs it."""
    start_host(shlex.split(os.environ["XSD_XENSTORED"]))


def by_c() -> None:
    """Start Xen's own C daemon, with ours installed beside it."""
    install()
    start_host([C_PROGRAM, *FOREGROUND])


def start_host(words: list[str]) -> None:
    """Start a daemon, and what needs it."""
    # Where the init script makes them; libxl and xenconsoled need the second.
    for directory in ("/run/xenstored", "/run/xen"):
        Path(directory).mkdir(exist_ok=True)
    start_daemon(words)
    run(f"{BIN}/xen-init-dom0")
    start_console_daemon()
    # Guests that boot must not keep dom0 from its work: the toolstack gives backends
    # 10 s to appear, which is little on an emulated machine with eight guests.
    run("xl", "sched-credit2", "-d", "Domain-0", "-w", "16384")


def start_daemon(words: list[str]) -> None:
    """Start a daemon in the foreground, and wait until it answers."""
    with (LOGS / "xenstored.log").open("ab") as log:
        daemon = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "XENSTORED_ROOTDIR": "/run/xenstored"},
        )
    until(
        lambda: daemon.poll() not in {None, 0} or answers(),
        f"the daemon does not start: {shlex.join(words)}",
    )
    assert answers()


def answers() -> bool:
    try:
        with Client(timeout=60) as client:
            client.directory("/")
    except NotListeningError:
        return False
    return True


def start_console_daemon() -> None:
    log = "/var/log/xen/console"
    Path(log).mkdir(parents=True, exist_ok=True)
    run(f"{BIN}/xenconsoled", "--log=all", f"--log-dir={log}")


def install() -> None:
    """Install the daemon as docs/packages.md says, but without a network."""
    run("python3", "-m", "venv", PLACE)
    pip = ("install", "--no-index", "--find-links", WHEELS, "xenstored")
    # Where the runner finds it, it counts as installed for pip.
    run("env", "-u", "PYTHONPATH", f"{PLACE}/bin/pip", *pip)


def by_launch_xenstore() -> None:
    """Start it by Xen's own script, with all that can be set there for a daemon."""
    install()
    XENCOMMONS.write_text(
        f"XENSTORED={PROGRAM}\n"
        'XENSTORED_ARGS="--entry-nb=1234 --log-format=json"\n'
        "XENSTORED_TRACE=yes\n"
        "XENSTORED_MAX_OPEN_FDS=4321\n"
        "XENSTORED_OOM_MEM_THRESHOLD=60\n",
        encoding="ascii",
    )
    Path("/var/lib/xen/xenstore").mkdir(parents=True, exist_ok=True)
    # Of the build machine nothing is left: it must work out of its own directory.
    run("env", "-u", "PYTHONPATH", "/etc/xen/scripts/launch-xenstore")
    # The script has returned: clients must be served already.
    assert answers()
    run(f"{BIN}/xen-init-dom0")
    start_console_daemon()


def by_debian() -> None:
    """Start it by Debian's init script, and everything else, too."""
    _switch()
    _run_init_script()


def back_by_debian() -> None:
    """Undo the switch, and start what Debian starts by itself."""
    before = DEBIAN.read_text("ascii")
    _switch()
    run("sed", "-i", r"/^XENSTORED\(_ARGS\)\?=./d", str(DEBIAN))
    run("rm", "-r", PLACE)
    assert DEBIAN.read_text("ascii") == before
    _run_init_script()


def _switch() -> None:
    install()
    with DEBIAN.open("a", encoding="ascii") as settings:
        settings.write(f'XENSTORED={PROGRAM}\nXENSTORED_ARGS="--log-file {TRACE}"\n')


def _run_init_script() -> None:
    run("env", "-u", "PYTHONPATH", "/etc/init.d/xen", "start")
    if not answers():
        raise ScenarioError("nobody listens")


STARTS: Final[dict[str, Callable[[], None]]] = {
    "direct": directly,
    "launch-xenstore": by_launch_xenstore,
    "debian": by_debian,
    "debian-back": back_by_debian,
    "c": by_c,
}
