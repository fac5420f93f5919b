"""`make test-systemd`: the units under a real systemd, which takes root.

What systemd-analyze says of them is in tests/daemon/test_units.py.
Each check prints a line. The exit status is 1 if one fails, 2 if something is missing.
"""

import contextlib
import re
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

from tests.docs.pages import ROOT, blocks_of, commands_of
from tests.support.checks import lacks, passes, verdict
from tests.support.processes import wait_until
from tests.systemd.container import (
    NEEDED,
    PROGRAM,
    SOURCES,
    XENSTORE_CONTROL,
    Container,
    booted,
)
from tests.takeover.moving import client
from xsd.protocol.ops import Op

SERVICE: Final = "xenstored.service"
SOCKET: Final = "xenstored.socket"
PATH: Final = "/run/xenstored/socket"
PID_FILE: Final = "/run/xenstored/xenstored.pid"
STOP_MAX_S: Final = 1.0
XEN: Final = ROOT / "systemd" / "xenstored.service.d" / "xen.conf"


def answers(container: Container) -> bool:
    return container.attempt("xenstore-exists", "/tool").returncode == 0


def timed(work: Callable[[], object]) -> float:
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def quota(container: Container, name: str) -> int:
    said = container.run(XENSTORE_CONTROL, "quota")
    found = re.search(rf"^{name} *: *([0-9]+)", said, re.MULTILINE)
    assert found, said
    return int(found[1])


def tmpfiles(container: Container) -> str:
    """The directory of the socket is there at boot, and Debian's name for the pid."""
    mode = container.run("stat", "-c", "%a", "/run/xenstored")
    link = container.run("readlink", "/run/xenstore.pid")
    assert (mode, link) == ("755", PID_FILE)
    return f"/run/xenstored {mode}, /run/xenstore.pid -> {link}"


def start(container: Container) -> str:
    """When the start is over, clients are answered at once."""
    took = timed(lambda: container.run("systemctl", "start", SERVICE))
    container.run("xenstore-write", "/test/a", "1")
    assert container.run("xenstore-read", "/test/a") == "1"
    mode = container.run("stat", "-c", "%a", PATH)
    assert mode == "600", mode
    # It is told with the first answer to its own request.
    wait_until(lambda: container.show("StatusText") != "", "there is no status")
    status = container.show("StatusText")
    assert status == "connections: 0, guests: 0", status
    return f"{took:.2f} s until it is ready; {status}"


def socket_activation(container: Container) -> str:
    """The first client starts the daemon; systemd's socket outlives it."""
    container.run("systemctl", "start", SOCKET)
    assert container.show("ActiveState") == "inactive"
    inode = container.run("stat", "-c", "%i", PATH)
    took = timed(lambda: container.run("xenstore-ls", "-f"))
    assert container.show("ActiveState") == "active"
    container.run("systemctl", "stop", SERVICE)
    assert container.run("stat", "-c", "%i", PATH) == inode
    container.run("xenstore-ls", "-f")
    assert container.show("ActiveState") == "active"
    assert "socket.not_used" not in container.journal()
    return f"first reply after {took:.2f} s; after a stop the next client starts it"


def kill(container: Container) -> str:
    """After kill -9 there is a daemon again."""
    container.run("systemctl", "start", SERVICE)
    pid = container.show("MainPID")
    container.run("kill", "-9", pid)
    return f"answers again after {_comes_back(container, pid):.2f} s"


def _comes_back(container: Container, pid: str) -> float:
    """Wait until there is another daemon; return the seconds that it took."""

    def again() -> bool:
        return answers(container) and container.show("MainPID") not in {"0", pid}

    took = timed(lambda: wait_until(again, "it does not come back"))
    assert container.show("NRestarts") == "1"
    return took


def kill_with_socket(container: Container) -> str:
    """A client of the time between waits, and is not refused."""
    container.run("systemctl", "start", SOCKET)
    assert answers(container)
    pid = container.show("MainPID")
    container.run("kill", "-9", pid)
    took = timed(lambda: container.run("xenstore-ls"))
    assert container.show("MainPID") not in {"0", pid}
    return f"the first client after it is answered after {took:.2f} s"


KEPT: Final = "[journal]\nkeep = true\n"


def kill_with_clients(container: Container) -> str:
    """The same connections are answered by the next daemon, time after time."""
    (container.etc / "xsd.toml").write_text(KEPT)
    container.run("systemctl", "start", SERVICE)
    path = container.outside(PATH)
    with closing(client(path)) as idle, closing(client(path)) as writer:
        idle.watch(b"/a")
        number = idle.start()
        writer.ok(Op.WRITE, b"/b\0v")
        wait_until(lambda: _stored(container) == 3, "they are not stored")
        took = 0.0
        for turn in range(8):
            pid = container.show("MainPID")
            # All is over that the daemon was at, and no defect is suspected.
            assert answers(container)
            container.run("rm", "-f", "/run/xenstored/journal/attempts")
            container.run("kill", "-9", pid)
            took = max(took, timed(lambda: writer.ok(Op.WRITE, b"/a\0v")))
            assert idle.next_event() == (b"/a", b"t")
            assert container.show("NRestarts") == str(turn + 1)
        assert idle.commit(number) is None
        assert _stored(container) == 3
        container.run("systemctl", "restart", SERVICE)
        assert _stored(container) == 0
    assert container.run("xenstore-read", "/b") == "v"
    return f"8 times, answered after {took:.2f} s at the latest"


def _stored(container: Container) -> int:
    return int(container.show("NFileDescriptorStore"))


def kill_with_socket_and_clients(container: Container) -> str:
    """So it is where systemd has opened the socket."""
    (container.etc / "xsd.toml").write_text(KEPT)
    container.run("systemctl", "start", SOCKET)
    path = container.outside(PATH)
    with closing(client(path)) as idle:
        idle.watch(b"/a")
        wait_until(lambda: _stored(container) == 1, "it is not stored")
        assert answers(container)
        container.run("kill", "-9", container.show("MainPID"))
        container.run("xenstore-write", "/a", "v")
        assert idle.next_event() == (b"/a", b"t")
    assert "socket.not_used" not in container.journal()
    wait_until(lambda: _stored(container) == 0, "it is still stored")
    return "and who has gone is forgotten"


def watchdog(container: Container) -> str:
    """A daemon that does not answer itself is killed and started anew."""
    container.drop_in("watchdog.conf", "[Service]\nWatchdogSec=1\n")
    container.run("systemctl", "start", SERVICE)
    pid = container.show("MainPID")
    begin = container.show("WatchdogTimestampMonotonic")

    def fed() -> bool:
        return container.show("WatchdogTimestampMonotonic") != begin

    wait_until(fed, "the watchdog is not told anything")
    container.run("kill", "-STOP", pid)
    took = _comes_back(container, pid)
    return f"stopped, killed and answering again after {took:.2f} s of WatchdogSec=1"


def reload(container: Container) -> str:
    """A quota of the file holds at once; a file with a mistake changes nothing."""
    settings = container.etc / "xsd.toml"
    settings.write_text("[quota]\nnodes = 500\n")
    container.run("systemctl", "start", SERVICE)
    pid = container.show("MainPID")
    assert quota(container, "nodes") == 500
    settings.write_text('[quota]\nnodes = 700\n[daemon]\nsocket = "/run/other"\n')
    container.run("systemctl", "reload", SERVICE)
    wait_until(lambda: quota(container, "nodes") == 700, "the quota stays")
    wait_until(lambda: "needs_restart" in container.journal(), "nothing is logged")
    settings.write_text("[quota]\nnodes = 900\nwatches = true\n")
    container.run("systemctl", "reload", SERVICE)
    wait_until(lambda: "not_reloaded" in container.journal(), "nothing is logged")
    assert quota(container, "nodes") == 700
    assert (container.show("MainPID"), container.show("ActiveState")) == (pid, "active")
    return "nodes 500 -> 700; a mistake leaves them"


def mistake(container: Container) -> str:
    """With a wrong file it does not start, and is not tried again."""
    (container.etc / "xsd.toml").write_text("[quota]\nnode = 5\n")
    assert container.attempt("systemctl", "start", SERVICE).returncode
    found = container.show("ExecMainStatus"), container.show("NRestarts")
    assert found == ("2", "0"), found
    said = "quota.node: no such key; did you mean quota.nodes?"
    wait_until(lambda: said in container.journal(), "nothing is logged")
    return said


def log_file(container: Container) -> str:
    """The unit leaves room for a log of the daemon's own."""
    settings = container.etc / "xsd.toml"
    settings.write_text('[log]\nfile = "/var/log/xenstored/log"\n')
    container.run("systemctl", "start", SERVICE)
    said = container.run("cat", "/var/log/xenstored/log")
    assert "daemon.serving" in said, said
    return "/var/log/xenstored/log"


def stop(container: Container) -> str:
    """It ends at once, with code 0, and leaves nothing."""
    container.run("systemctl", "start", SERVICE)
    took = timed(lambda: container.run("systemctl", "stop", SERVICE))
    result = container.show("Result"), container.show("ExecMainStatus")
    assert result == ("success", "0"), result
    assert took < STOP_MAX_S, took
    for path in (PATH, PID_FILE):
        assert container.attempt("test", "-e", path).returncode, path
    tasks = container.attempt("pgrep", "-f", "xsd.daemon").stdout
    assert tasks == "", tasks
    return f"exit code 0 after {took:.2f} s"


def refusal(container: Container) -> str:
    """On a Xen host nobody stops it by accident; by a signal it ends, and stays so."""
    container.run("systemctl", "start", SERVICE)
    pid = container.show("MainPID")
    container.drop_in(XEN.name, XEN.read_text())
    for verb in ("stop", "restart", "try-restart"):
        done = container.attempt("systemctl", verb, SERVICE)
        assert done.returncode, verb
        assert "refused" in done.stderr, done.stderr
    assert (container.show("MainPID"), answers(container)) == (pid, True)
    container.run("systemctl", "kill", SERVICE)
    _is_over(container)
    assert container.show("NRestarts") == "0"
    return "stop, restart and try-restart are refused; systemctl kill ends it"


def _is_over(container: Container) -> None:
    wait_until(
        lambda: container.show("ActiveState") == "inactive", "the daemon does not end"
    )


def debian(container: Container) -> str:
    """The command of Debian's /etc/init.d/xen finds that there is a daemon."""
    container.run("systemctl", "start", SERVICE)
    pid = container.show("MainPID")
    pid_file = "/run/xenstore.pid"
    starter = "start-stop-daemon --start --quiet --exec /usr/bin/choom --pidfile"
    # There it is -1000, which the container may not set.
    program = ("--", "-n", "0", PROGRAM, "--", "--pid-file", pid_file)
    container.run(*starter.split(), pid_file, *program)
    assert answers(container)
    assert container.show("MainPID") == pid
    assert container.run("cat", pid_file) == pid
    return "its second xenstored gives way"


def documented(container: Container) -> str:
    """What docs/configuration.md says is to be typed installs the daemon."""
    page = ROOT / "docs" / "configuration.md"
    blocks = [
        [command.text for command in commands_of(block)]
        for block in blocks_of(page)
        if block.note == "needs root and systemd: make test-systemd"
    ]
    install, end, of_debian = blocks
    # What every system has, but not one whose /etc is empty.
    container.run("mkdir", "-p", "/etc/systemd/system", "/etc/tmpfiles.d")
    container.run("mkdir", "-p", "/etc/default")
    container.run("sh", "-ec", "\n".join([f"cd {SOURCES}", *install]))
    assert answers(container)
    found = container.show("FragmentPath")
    assert found == "/etc/systemd/system/xenstored.service", found
    assert container.show("UnitFileState") == "enabled"
    container.run("rm", "/run/xenstore.pid")
    container.run("sh", "-ec", "\n".join([f"cd {SOURCES}", *of_debian]))
    assert container.run("readlink", "/run/xenstore.pid") == PID_FILE
    container.run("systemctl", "daemon-reload")
    drop_ins = container.show("DropInPaths")
    assert "distribution.conf" in drop_ins, drop_ins
    assert "xen.conf" in drop_ins, drop_ins
    container.run("sh", "-ec", "\n".join(end))
    _is_over(container)
    container.run("systemctl", "disable", SERVICE)
    container.run("sh", "-ec", "rm -r /etc/systemd/system/xenstored.*")
    return f"{len(install)} commands, and {len(of_debian)} for Debian"


CHECKS: Final = (
    *(tmpfiles, start, socket_activation, kill, kill_with_socket, watchdog),
    *(kill_with_clients, kill_with_socket_and_clients),
    *(reload, mistake, log_file, stop, refusal, debian, documented),
)


def passes_alone(check: Callable[[Container], str], container: Container) -> bool:
    """Run a check, and leave the container as it was."""
    try:
        if passed := passes(check, container):
            return passed
        with contextlib.suppress(AssertionError):
            print(container.journal(), flush=True)
        return False
    finally:
        container.clean()


def main() -> int:
    if lacks("make test-systemd", "a container", NEEDED):
        return 2
    with booted() as container:
        return verdict([passes_alone(check, container) for check in CHECKS])


if __name__ == "__main__":
    sys.exit(main())
