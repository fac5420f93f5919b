"""Scenarios of guests that do their worst, and of others that must not notice."""

import time
from pathlib import Path
from typing import Final

from tests.xen.dom0.toolstack import (
    Dom0,
    Guest,
    ScenarioError,
    daemon_pid,
    living,
    run,
    xl,
)

ATTACKS: Final = "fniocr"
"""Letters of what `domu/hostile.c` can do."""

GROWTH_MAX_KIB: Final = 64 * 1024
"""How much memory the daemon may take because of one hostile guest."""

ROUNDS: Final = 5


def hostile_kernels_disturb_nobody(dom0: Dom0) -> None:
    """Raw rings: floods, no reading, impossible indexes, nonsense, new connections."""
    with living(dom0, "destroy") as polite:
        for letter in ATTACKS:
            before = _memory_kib()
            name = f"hostile-{letter}"
            _create_hostile(dom0, name, letter)
            began = time.monotonic()
            _be_served(dom0, polite)
            taken = time.monotonic() - began
            grown = _memory_kib() - before
            dom0.note(f"beside attack {letter}: {taken:.1f} s, {grown} KiB more")
            if grown > GROWTH_MAX_KIB:
                raise ScenarioError(f"attack {letter}: {grown} KiB more")
            # It is a guest like others to the toolstack.
            assert name in dom0.domids()
            xl("destroy", name)
        _be_served(dom0, polite)
        run("/usr/lib/xen-4.17/bin/xenstore-control", "check")


def hostile_programs_disturb_nobody(dom0: Dom0) -> None:
    """What root in a guest can send through Linux: floods, nonsense, too much."""
    with living(dom0, "destroy") as polite:
        guest = dom0.guest(devices=False)
        guest.create()
        # More nodes and watches than a guest may have: refused, and it goes on.
        nodes, watches = guest.must(_MANY), guest.must(_WATCHES)
        # Linux drops some of them when their sender closes the device.
        assert 100 < int(nodes.split()[0]) <= 1000, nodes
        assert 100 < int(watches.split()[0]) <= 128, watches
        # Frames that are none, a payload that is none, and a header that is a lie.
        guest.do(f"printf '{_NONSENSE}' > /dev/xen/xenbus")
        guest.do("head -c 60000 /dev/urandom > /dev/xen/xenbus")
        for _ in range(6):
            guest.must(f"({_FLOOD}) >/dev/null 2>&1 &")
        before = _memory_kib()
        _be_served(dom0, polite)
        assert _memory_kib() - before < GROWTH_MAX_KIB
        xl("destroy", guest.name)
        guest.wait_ended()


# Frames for the device that Linux has for programs: type, request, transaction, size.
_OPEN: Final = "exec 3<>/dev/xen/xenbus; n=0; "
# In directories of a hundred: the names of children count for a node's size.
_MANY: Final = (
    f"{_OPEN} while [ $n -lt 1100 ]; do n=$((n + 1));"
    r" printf '\13\0\0\0\1\0\0\0\0\0\0\0\17\0\0\0data/m/%02d/%04d\0'"
    " $((n / 100)) $n >&3; done; exec 3>&-;"
    " xenstore-ls -f data/m | grep -c 'm/../....'; xenstore-rm data/m"
)
_WATCHES: Final = (
    f"{_OPEN} while [ $n -lt 200 ] &&"
    r" printf '\4\0\0\0\1\0\0\0\0\0\0\0\13\0\0\0data\0%05d\0' $n >&3;"
    " do n=$((n + 1)); done; exec 3>&-; echo $n"
)
_FLOOD: Final = (
    f"{_OPEN} while true; do"
    r" printf '\13\0\0\0\1\0\0\0\0\0\0\0\7\0\0\0data/f\0' >&3; done"
)
_NONSENSE: Final = r"\377\377\377\377\1\0\0\0\2\0\0\0\4\0\0\0\0\0\0\0"


def _create_hostile(dom0: Dom0, name: str, letter: str) -> None:
    config = Path(f"/run/{name}.cfg")
    config.write_text(
        f'name = "{name}"\ntype = "pv"\nmemory = 16\n'
        f'kernel = "/guest/hostile"\nextra = "{letter}"\n',
        encoding="ascii",
    )
    xl("create", "-q", str(config))
    domid = dom0.domids()[name]
    dom0.wait_for(f"/local/domain/{domid}/data/attack", letter)


def _be_served(dom0: Dom0, guest: Guest) -> None:
    """Have dom0 and a guest do what they do every day."""
    for number in range(ROUNDS):
        path = f"{guest.home}/data/from-dom0"
        dom0.client.write(path, b"%d" % number)
        assert guest.must("xenstore-read data/from-dom0") == str(number)
        guest.must(f"xenstore-write data/from-guest {number}")
        assert dom0.read(f"{guest.home}/data/from-guest") == str(number)


def _memory_kib() -> int:
    """Resident memory of the daemon."""
    status = Path(f"/proc/{daemon_pid()}/status").read_text("ascii")
    (line,) = [x for x in status.splitlines() if x.startswith("VmRSS:")]
    return int(line.split()[1])


SCENARIOS: Final = (hostile_kernels_disturb_nobody, hostile_programs_disturb_nobody)
