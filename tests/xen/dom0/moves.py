"""A running host moves from Xen's C daemon to ours and back; its guest stays.

How to move is typed as docs/replacing.md has it.
"""

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from tests.xen.dom0.lives import UP, brief_life
from tests.xen.dom0.starts import (
    BIN,
    C_PROGRAM,
    FOREGROUND,
    PLACE,
    PROGRAM,
    start_console_daemon,
    start_daemon,
)
from tests.xen.dom0.toolstack import (
    ADDRESS,
    FILES,
    PATIENCE_S,
    Dom0,
    Guest,
    attempt,
    daemon_pid,
    living,
    run,
)
from xsd.client import Client

PAGE: Final = Path("/opt/xsd/docs/replacing.md")


def host_moves_and_returns(dom0: Dom0) -> None:
    """C, ours, `kill -9`, an update, C: a guest lives on, and each serves new ones."""
    # The `xl` that looks after it loses its connection with the daemon that is killed.
    with living(dom0, "destroy") as guest:
        guest.must(UP)
        assert serving() == C_PROGRAM
        typed("On a running host")
        there = partial(typed, "From Xen's C daemon to this one")
        passes(dom0, guest, there, PROGRAM, "from C")
        number = daemon_pid()
        passes(dom0, guest, partial(killed, dom0), PROGRAM, "killed")
        assert daemon_pid() != number
        passes(
            dom0, guest, partial(run, f"{PLACE}/bin/xsd", "update"), PROGRAM, "updated"
        )
        back = partial(typed, "Back to Xen's C daemon")
        passes(dom0, guest, back, C_PROGRAM, "to C")


def passes(
    dom0: Dom0, guest: Guest, step: Callable[[], object], by: str, what: str
) -> None:
    """Take a step, after which the store and the guest are what they were."""
    before = run("xenstore-ls", "-fp")
    step()
    assert serving() == by
    assert run("xenstore-ls", "-fp") == before
    lives_on(guest)
    brief_life(dom0)
    dom0.note(f"{what}: the guest lives, and a new one came and went")


def typed(heading: str) -> None:
    """Type what the page says under a heading."""
    section = PAGE.read_text("utf-8").split(f"# {heading}\n")[1].partition("\n#")[0]
    commands = [line[2:] for line in section.splitlines() if line.startswith("$ ")]
    assert commands
    path = f"{PLACE}/bin:{BIN}:{os.environ['PATH']}"
    for command in commands:
        line = f"set -o pipefail; cd {FILES}; {command}"
        run("env", f"PATH={path}", "bash", "-c", line)


def killed(dom0: Dom0) -> None:
    """Nobody keeps the sockets, so programs that have one connect again."""
    number = daemon_pid()
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)
    start_daemon([PROGRAM, *FOREGROUND, "--journal"])
    dom0.client.close()
    dom0.client = Client(timeout=PATIENCE_S)
    attempt("pkill", "-9", "xenconsoled")
    start_console_daemon()


def lives_on(guest: Guest) -> None:
    """Its watch fires, it writes, and its devices carry something."""
    assert guest.must("xenstore-read name") == guest.name
    guest.must("xenstore-write data/mine again")
    guest.wait_connected()
    guest.must(f"ping -c 3 -W 10 {ADDRESS}")
    guest.must("dd if=/dev/xvda of=/dev/null iflag=direct")


def serving() -> str:
    """The program that the daemon runs now."""
    words = Path(f"/proc/{daemon_pid()}/cmdline").read_text("utf-8").split("\0")
    return words["python" in words[0]]


SCENARIOS: Final[tuple[Callable[[Dom0], None], ...]] = (host_moves_and_returns,)
