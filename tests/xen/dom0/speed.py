"""How long guests take to come, for comparing daemons; it decides nothing."""

import time
from statistics import median
from typing import Final

from tests.xen.dom0.crowd import CROWD, create_at_once
from tests.xen.dom0.toolstack import Dom0, daemon_seconds, xl

TIMES: Final = 3


def speed(dom0: Dom0) -> None:
    """Time from `xl create` to connected devices: one guest, and eight at once."""
    returned: list[float] = []
    connected: list[float] = []
    for _ in range(TIMES):
        guest = dom0.guest(plain=True)
        began = time.monotonic()
        guest.create()
        returned.append(time.monotonic() - began)
        guest.wait_connected()
        connected.append(time.monotonic() - began)
        xl("destroy", guest.name)
        guest.wait_ended()
    dom0.note(
        f"one guest, median of {TIMES}: xl create {median(returned):.1f} s,"
        f" connected after {median(connected):.1f} s"
    )
    before = daemon_seconds()
    guests = [dom0.guest(plain=True) for _ in range(CROWD)]
    began = time.monotonic()
    create_at_once(guests)
    created = time.monotonic() - began
    for guest in guests:
        guest.wait_connected()
    taken = time.monotonic() - began
    dom0.note(
        f"{CROWD} guests at once: xl create {created:.1f} s, connected after"
        f" {taken:.1f} s, the daemon's share {daemon_seconds() - before:.1f} s"
    )


SCENARIOS: Final = (speed,)
