"""Scenarios of the start: dom0 itself, before there is any guest."""

import os
from typing import Final

from protocol.frame import FrameDecoder, encode_frame
from protocol.ops import Op
from tests.xen.dom0.toolstack import Dom0, run, xl

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


SCENARIOS: Final = (dom0_comes_up,)
