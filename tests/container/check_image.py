"""The image, started as its users start it; nothing here runs without an engine."""

import contextlib
import os
import signal
import stat
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import NeedProgram
from tests.container.conftest import Serve
from tests.support.checks import ran
from tests.support.containers import CONFINED, Engine, wait_until_served
from tests.support.daemons import client_environment
from tests.support.processes import wait_until
from xsd.client import Client, DisconnectedError
from xsd.testing import PretendedHost

NOBODY: Final = 65532
"""The user of the image's own directory for sockets."""

SOMEBODY: Final = 12345
"""A user of the host."""

TOOLS: Final = ("read", "write", "list", "ls", "rm", "chmod", "exists", "watch")


def user_of(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("Uid:"):
            (user,) = set(line.split()[1:])
            return int(user)
    raise AssertionError(pid)


def host_tool(socket: Path, *words: str) -> str:
    return ran(words, env=client_environment(socket), timeout=60).stdout


# What is in it


def test_image_holds_nothing_but_what_runs(engine: Engine) -> None:
    """Neither what built it, nor tests, nor symbols for debuggers."""
    found = engine.run(
        command=(
            *("find", "/opt/xsd", "("),
            *("-name", "tests", "-o", "-name", "pip", "-o", "-name", "*.p[xy][xd]"),
            *("-o", "-name", "mypy", "-o", "-name", "*.whl", "-o", "-size", "+4M", ")"),
        )
    )
    assert found == ""
    assert engine.attempt("run", "--rm", engine.image, "gcc", "-v").returncode == 127


def test_core_is_compiled(engine: Engine) -> None:
    """The protocol, the store and the engine."""
    modules = "xsd.protocol.frame, xsd.store.store, xsd.engine.dispatch"
    code = f"import {modules}; print(*(m.__file__ for m in ({modules})), sep='\\n')"
    files = engine.run(command=("python3", "-c", code)).splitlines()
    names = [Path(file).name.partition(".")[0] for file in files]
    assert names == ["frame", "store", "dispatch"]
    assert {Path(file).suffix for file in files} == {".so"}
    assert "\ncompiled, Python 3." in engine.run(command=("xsd", "--version"))


@pytest.mark.parametrize("tool", TOOLS)
def test_image_has_the_tool(engine: Engine, tool: str) -> None:
    """Under its name, for scripts; without a daemon it says that there is none."""
    words = ("/a", "n0") if tool in ("write", "chmod") else ("/a",)
    container = engine.start(*CONFINED, command=(f"xenstore-{tool}", *words))
    assert container.wait() == 1
    assert container.logs().startswith(f"xenstore-{tool}: no daemon listens")


# Whose it is


@pytest.mark.parametrize(
    "options",
    [(), (*CONFINED, f"--user={SOMEBODY}:{SOMEBODY}")],
    ids=["by itself", "without any capability, by --user"],
)
def test_daemon_is_the_owner_of_the_directory(
    engine: Engine, directory: Path, options: tuple[str, ...]
) -> None:
    """So the host's user who made the directory can use the sockets in it."""
    os.chown(directory, SOMEBODY, SOMEBODY)
    container = engine.start(f"--volume={directory}:/run/xenstored", *options)
    wait_until_served(directory / "socket")
    assert user_of(container.pid) == SOMEBODY
    found = (directory / "socket").stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (SOMEBODY, 0o600)
    # Health checks are the same user.
    assert container.execute("xsd", "health").startswith("ok")


def test_daemon_without_a_mount_is_not_root(engine: Engine) -> None:
    """It serves on a volume then, which other containers can share."""
    container = engine.start("--read-only", "--network=none")
    container.wait_until_healthy()
    assert user_of(container.pid) == NOBODY
    volumes = f"--volumes-from={container.name}"
    assert engine.run(volumes, command=("xenstore-list", "/")) == "tool\n"


def test_root_without_capabilities_serves_in_roots_directory(
    serve: Serve, directory: Path
) -> None:
    """And in any that everybody may write to."""
    container = serve()
    assert user_of(container.pid) == os.getuid()
    assert container.stop(1) == 0
    os.chown(directory, SOMEBODY, SOMEBODY)
    directory.chmod(0o777)
    container = serve()
    assert user_of(container.pid) == os.getuid()


def test_daemon_that_cannot_serve_says_so(engine: Engine, directory: Path) -> None:
    """With the path, in the log that `logs` shows."""
    os.chown(directory, SOMEBODY, SOMEBODY)
    container = engine.start(f"--volume={directory}:/run/xenstored", *CONFINED)
    assert container.wait() == 1
    assert "/run/xenstored/socket" in container.logs()
    assert "Permission denied" in container.logs()


# Who talks to it


def test_tools_of_the_host_reach_it(
    serve: Serve, directory: Path, need_program: NeedProgram
) -> None:
    """Debian's own, on the socket in the mounted directory."""
    need_program("xenstore-ls", "xenstore-utils")
    serve()
    socket = directory / "socket"
    host_tool(socket, "xenstore-write", "/local/domain/1/name", "demo")
    host_tool(socket, "xenstore-chmod", "/local/domain/1", "r0")
    assert host_tool(socket, "xenstore-read", "/local/domain/1/name") == "demo\n"
    listed = host_tool(socket, "xenstore-ls", "-fp", "/local")
    assert '/local/domain/1 = ""   (r0)\n' in listed
    assert '/local/domain/1/name = "demo"   (n0)\n' in listed


def test_tools_of_another_container_reach_it(
    engine: Engine, serve: Serve, directory: Path
) -> None:
    """Which are the image's own, with the directory mounted there too."""
    serve()
    mount = f"--volume={directory}:/run/xenstored"

    def tool(*words: str) -> str:
        return engine.run(mount, *CONFINED, command=words)

    assert tool("xenstore-write", "/a/b", "1") == ""
    assert tool("xenstore-read", "-p", "/a/b") == "/a/b: 1\n"
    assert tool("xenstore-ls", "-f", "/a") == '/a/b = "1"\n'
    assert tool("xenstore-control", "print", "hello") == "OK\n"
    assert tool("xsd", "control", "check") == "OK\n"
    assert tool("xsd", "domain", "create", "9") == "9 /run/xenstored/socket.dom9\n"
    with Client(str(directory / "socket"), timeout=10) as client:
        assert client.read("/a/b") == b"1"


def test_guests_reach_it_from_the_host(serve: Serve, directory: Path) -> None:
    """With rings, whose memory goes through the sockets."""
    serve()
    socket = str(directory / "socket")

    with (
        Client(socket, timeout=10) as dom0,
        PretendedHost(socket + ".hypervisor") as host,
        host.create(5) as guest,
    ):
        dom0.introduce(5, 1, guest.port)
        dom0.write("/local/domain/5/name", b"guest")
        dom0.set_permissions("/local/domain/5/name", ["n5"])
        assert guest.read("name") == b"guest"
        with Client(socket + ".dom5", timeout=10) as same:
            assert same.read("name") == b"guest"


# Whether it works


def test_healthcheck_of_the_image_passes(engine: Engine, serve: Serve) -> None:
    """As the engine runs it."""
    container = serve()
    if engine.program.endswith("podman"):
        assert engine.attempt("healthcheck", "run", container.name).returncode == 0
    assert "health" in container.inspect("{{.Config.Healthcheck.Test}}")


def test_daemon_that_hangs_is_not_healthy(serve: Serve) -> None:
    """It is told in time, and again when it goes on."""
    container = serve()
    pid = container.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        sick = container.attempt("xsd", "health", "--timeout=0.5")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (sick.returncode, sick.stdout) == (1, "")
    assert sick.stderr.startswith("xsd health: no answer within 0.5 s")
    assert container.execute("xsd", "health").startswith("ok")
    assert container.execute("xsd", "list", "/tool") == "xenstored"


# How it ends


def test_stop_ends_it_within_a_second(serve: Serve, directory: Path) -> None:
    """With exit code 0, not the 137 of being killed; all of the log is JSON."""
    container = serve()
    with Client(str(directory / "socket"), timeout=10) as client:
        client.watch("/", "token")
        assert container.stop(1) == 0
    assert list(directory.iterdir()) == []
    served, *_, stopped = container.events()
    assert (served["event"], served["hypervisor"]) == ("daemon.serving", "emulated")
    assert stopped["event"] == "daemon.stopped"


def test_daemon_that_is_killed_is_restarted(serve: Serve, directory: Path) -> None:
    """It takes its socket over, and begins with an empty store."""
    container = serve("--restart=on-failure:3")
    socket = directory / "socket"
    with Client(str(socket), timeout=10) as client:
        client.write("/a", b"1")

        container.kill()
        with pytest.raises(DisconnectedError):
            client.next_event(60)

    wait_until(lambda: container.inspect("{{.RestartCount}}") == "1", "no restart")
    wait_until_served(socket)
    with Client(str(socket), timeout=10) as client:
        assert not client.exists("/a")
    assert container.stop(1) == 0


def test_limit_of_descriptors_bounds_its_clients(serve: Serve, directory: Path) -> None:
    """Those beyond wait until others leave, and the log tells of them."""
    # With one limit named, podman raises the others, which it may not everywhere.
    container = serve("--ulimit=nofile=32:32", "--ulimit=nproc=4096:4096")
    with contextlib.ExitStack() as held:
        clients = [
            held.enter_context(Client(str(directory / "socket"), timeout=60))
            for _ in range(40)
        ]
        assert clients[0].exists("/tool")
        wait_until(lambda: "connection.not_accepted" in container.logs(), "no line")
        for client in clients[:-1]:
            client.close()
        assert clients[-1].exists("/tool")


def test_memory_limit_kills_it_and_nothing_else(serve: Serve, directory: Path) -> None:
    """With exit code 137. It serves as long as it has what it needs."""
    container = serve("--memory=96m")
    mebibytes = 0

    def fill() -> None:
        nonlocal mebibytes
        with Client(str(directory / "socket"), timeout=60) as client:
            for mebibytes in range(1024):
                for number in range(256):
                    client.write(b"/fill/%d/%d" % (mebibytes, number), bytes(4032))

    with pytest.raises(DisconnectedError):
        fill()

    assert container.wait() == 128 + signal.SIGKILL
    assert 32 < mebibytes < 192  # the engine may allow as much again of swap
