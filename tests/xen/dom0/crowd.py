"""Scenarios of many guests at once."""

import subprocess
import time
from typing import Final

from tests.xen.dom0.toolstack import PATIENCE_S, Dom0, Guest, nothing_left, xl

CROWD: Final = 8


def eight_guests_at_once(dom0: Dom0) -> None:
    """Eight `xl create` side by side succeed, and every guest is connected."""
    with nothing_left(dom0):
        guests = [dom0.guest(plain=True) for _ in range(CROWD)]
        create_at_once(guests)
        for guest in guests:
            guest.wait_connected()
            assert guest.must("xenstore-read name") == guest.name
        for guest in guests:
            xl("shutdown", guest.name)
        for guest in guests:
            guest.wait_ended()


def create_at_once(guests: list[Guest]) -> None:
    """Create guests, each by an `xl` of its own, all started together."""
    started = [
        subprocess.Popen(
            ["xl", "create", "-q", str(guest.config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for guest in guests
    ]
    deadline = time.monotonic() + CROWD * PATIENCE_S
    for process, guest in zip(started, guests, strict=True):
        output, _ = process.communicate(timeout=deadline - time.monotonic())
        said = output.decode(errors="replace")
        assert process.returncode == 0, f"xl create {guest.name}: {said}"
        # The toolstack repeats what met a conflict; what it gave up it tells.
        assert "libxl: error" not in said, said
        guest.find()


SCENARIOS: Final = (eight_guests_at_once,)
