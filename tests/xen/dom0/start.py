"""Scenarios of the start: dom0 itself, before there is any guest."""

import os
from pathlib import Path
from typing import Final

from tests.xen.dom0.lives import brief_life
from tests.xen.dom0.starts import PROGRAM, TRACE
from tests.xen.dom0.toolstack import Dom0, daemon_pid, run, xl
from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.ops import Op

CONTROL: Final = "/usr/lib/xen-4.17/bin/xenstore-control"


def dom0_comes_up(dom0: Dom0) -> None:
    """Kernel, xen-init-dom0, xenconsoled and the tools are served."""
    assert through_kernel(Op.READ, b"domid\0") == b"0"
    assert dom0.read("/local/domain/0/name") == "Domain-0"
    assert dom0.read("/tool/xenstored") == ""
    assert run("pidof", "xenconsoled").strip()
    assert "Domain-0" in xl("list")
    assert "xen_version            : 4.17" in xl("info")
    listed = run("xenstore-ls", "-fp").splitlines()
    assert '/local/domain/0/domid = "0"   (n0)' in " ".join(listed)
    run(CONTROL, "check")


def through_kernel(op: Op, payload: bytes) -> bytes:
    """Send a request by dom0's own ring and return the reply's payload."""
    device = os.open("/dev/xen/xenbus", os.O_RDWR)
    try:
        os.write(device, encode_frame(op, 1, 0, payload))
        decoder = FrameDecoder()
        while not (frames := decoder.feed(os.read(device, 4096))):
            pass
    finally:
        os.close(device)
    return bytes(frames[0].payload)


def launch_xenstore_starts_it(dom0: Dom0) -> None:
    """Pid file, readiness, arguments, descriptors and score are as the script wants."""
    dom0_comes_up(dom0)
    pid = daemon_pid()
    assert Path("/run/xen/xenstored.pid").read_text("ascii") == f"{pid}\n"
    assert PROGRAM in _command_line(pid)
    assert "--entry-nb=1234" in _command_line(pid)
    assert b"1234" in dom0.client.control("quota")
    assert Path(f"/proc/{pid}/oom_score_adj").read_text("ascii") == "-600\n"
    limits = Path(f"/proc/{pid}/limits").read_text("ascii")
    assert "Max open files            4321 " in limits
    trace = Path("/var/log/xen/xenstored-trace.log").read_text("utf-8")
    assert '"event": "daemon.serving"' in trace
    # Started again, the script leaves it alone.
    run("env", "-u", "PYTHONPATH", "/etc/xen/scripts/launch-xenstore")
    assert daemon_pid() == pid
    brief_life(dom0)


def debian_starts_it(dom0: Dom0) -> None:
    """The init script of Debian's packages does, after one line in its settings."""
    dom0_comes_up(dom0)
    pid = daemon_pid()
    assert Path("/run/xenstore.pid").read_text("ascii") == f"{pid}\n"
    assert PROGRAM in _command_line(pid)
    assert Path(f"/proc/{pid}/oom_score_adj").read_text("ascii") == "-1000\n"
    assert '"event": "daemon.serving"' in Path(TRACE).read_text("utf-8")
    run("env", "-u", "PYTHONPATH", "/etc/init.d/xen", "start")
    assert daemon_pid() == pid
    brief_life(dom0)


def debian_goes_back(dom0: Dom0) -> None:
    """Without that line Debian starts one of Xen's own again."""
    pid = int(Path("/run/xenstore.pid").read_text("ascii"))
    assert "/usr/lib/xen-4.17/bin/oxenstored" in _command_line(pid)
    assert dom0.read("/local/domain/0/name") == "Domain-0"
    brief_life(dom0)


def _command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text("utf-8").split("\0")


SCENARIOS: Final = (
    dom0_comes_up,
    launch_xenstore_starts_it,
    debian_starts_it,
    debian_goes_back,
)
