"""Scenarios of one guest's life, from `xl create` to its end."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Final

from tests.xen.dom0.toolstack import (
    ADDRESS,
    BRIDGE,
    CONNECTED,
    FILES,
    Dom0,
    Guest,
    ScenarioError,
    attempt,
    living,
    make_disk,
    nothing_left,
    run,
    until,
    xl,
)

PVH_ATTEMPTS: Final = 3
"""A PVH guest sometimes dies as it boots, under emulation and with any daemon."""

UP: Final = "ip link set eth0 up && ip addr add 10.9.9.2/24 dev eth0"


def pv_guest_lives(dom0: Dom0) -> None:
    """A PV guest gets its devices and its rights, and leaves nothing behind."""
    with living(dom0, "shutdown") as guest:
        _live(guest)


def brief_life(dom0: Dom0) -> None:
    """A PV guest comes, is connected, and goes."""
    with living(dom0, "shutdown") as guest:
        assert guest.must("xenstore-read name") == guest.name


def pvh_guest_lives(dom0: Dom0) -> None:
    """The same for a PVH guest, which may need several attempts to boot."""
    with nothing_left(dom0):
        for attempts in range(1, PVH_ATTEMPTS + 1):
            guest = dom0.guest("pvh")
            guest.create()
            try:
                guest.do("true")
            except ScenarioError:
                # If it was the daemon's fault, the other attempts fail as well.
                dom0.note(f"the PVH guest did not boot, attempt {attempts}")
                attempt("xl", "destroy", guest.name)
                dom0.wait_no_guests()
            else:
                break
        _live(guest)
        xl("shutdown", guest.name)
        guest.wait_ended()


def destroyed_guest_leaves_nothing(dom0: Dom0) -> None:
    """`xl destroy` in the middle of requests and transactions leaves nothing."""
    with living(dom0, "destroy") as guest:
        guest.must(
            "(while true; do xenstore-write data/busy 1; done) >/dev/null 2>&1 &"
        )
        dom0.wait_for(f"{guest.home}/data/busy", "1")


def _live(guest: Guest) -> None:
    """What a guest is there for, and what it must not do."""
    guest.wait_connected()
    assert guest.must("xenstore-read name") == guest.name
    # What it can read, and what not, as its permissions say.
    assert guest.must("xenstore-read domid") == str(guest.domid)
    for command in (
        "xenstore-write /local/domain/0/name evil",
        f"xenstore-write {guest.home}/name evil",
        "xenstore-rm /local/domain/0",
        f"xenstore-chmod {guest.home} n{guest.domid}",
        "xenstore-read /vm",
    ):
        status, output = guest.do(command)
        assert status != 0, f"{command}: {output}"
    guest.must("xenstore-write data/mine yes")
    guest.must("[ $(xenstore-read data/mine) = yes ]")
    # Its devices carry something.
    guest.must(UP)
    guest.must(f"ping -c 3 -W 10 {ADDRESS}")
    wanted = hashlib.md5(guest.disk.read_bytes(), usedforsecurity=False).hexdigest()
    assert guest.must("md5sum < /dev/xvda").split()[0] == wanted
    guest.must("echo said on the console >/dev/console")
    until(lambda: "said on the console" in guest.console, "nothing on the console")


def guest_reboots(dom0: Dom0) -> None:
    """`xl reboot` ends in a new domain with the same name and devices."""
    with living(dom0, "destroy") as guest:
        guest.must("xenstore-write data/mine yes")
        before = guest.domid
        # The `xl` that has created it stays, and makes the new domain.
        xl("reboot", guest.name)
        dom0.wait_gone(guest.home)
        until(
            lambda: dom0.domids().get(guest.name, before) != before,
            f"{guest.name} does not come back",
        )
        guest.find()
        guest.wait_connected()
        assert guest.do("xenstore-read data/mine")[0] != 0


def guest_is_saved_and_restored(dom0: Dom0) -> None:
    """A guest goes on in a new domain: its own watches, its devices, its programs."""
    image = str(FILES / "saved")
    with living(dom0, "destroy") as guest:
        guest.must("touch /tmp/lived-before")
        xl("save", guest.name, image)
        guest.wait_ended()
        before = guest.domid
        xl("restore", image)
        guest.find()
        assert guest.domid != before
        guest.wait_connected()
        # The watch of its init was made in the old domain.
        guest.must("[ -e /tmp/lived-before ]")
        assert guest.must("xenstore-read domid") == str(guest.domid)
        guest.must(UP)
        guest.must(f"ping -c 3 -W 10 {ADDRESS}")


def domid_is_used_again(dom0: Dom0) -> None:
    """A domain inherits nothing of the one that had its id before."""
    image = FILES / "saved"
    with nothing_left(dom0):
        keeper = dom0.guest()
        keeper.create()
        keeper.must("true")
        guest = dom0.guest()
        guest.create()
        guest.must("true")
        old = guest.domid
        keeper.must(
            "xenstore-write data/secret 1 &&"
            f" xenstore-chmod data/secret n{keeper.domid} r{old}"
        )
        secret = f"{keeper.home}/data/secret"
        assert guest.must(f"xenstore-read {secret}") == "1"
        guest.must("xenstore-write data/mine yes")
        xl("save", guest.name, str(image))
        guest.wait_ended()
        set_domid(image, old)
        run("env", "LIBXL_DOMID_REUSE_TIMEOUT=0", "xl", "restore", str(image))
        guest.find()
        assert guest.domid == old
        assert guest.must("xenstore-read domid") == str(old)
        status, output = guest.do(f"xenstore-read {secret}")
        assert status != 0, output
        assert guest.do("xenstore-read data/mine")[0] != 0
        for each in (guest, keeper):
            xl("destroy", each.name)
            each.wait_ended()


def set_domid(image: Path, domid: int) -> None:
    """Have `xl restore` give the domain of a saved image an id of our choice."""
    data = image.read_bytes()
    # A magic of 32 bytes, byte order, two words of flags, length of what follows: that
    # of the JSON text, and the text.
    header = struct.Struct("=32sIIIII")
    magic, order, mandatory, optional, _, length = header.unpack_from(data)
    config = json.loads(data[header.size : header.size + length].rstrip(b"\0"))
    config["c_info"]["domid"] = domid
    text = json.dumps(config).encode() + b"\0"
    image.write_bytes(
        header.pack(magic, order, mandatory, optional, 4 + len(text), len(text))
        + text
        + data[header.size + length :]
    )


def guest_is_paused_and_renamed(dom0: Dom0) -> None:
    """Pausing is not told to the store, renaming is."""
    with nothing_left(dom0):
        guest = dom0.guest()
        guest.create()
        guest.wait_connected()
        xl("pause", guest.name)
        # It sees what was written meanwhile when it runs again.
        dom0.client.write(f"{guest.home}/data/run", b"p xenstore-write data/seen yes")
        assert " --p---" in xl("list", guest.name)
        assert dom0.read(f"{guest.home}/data/seen") is None
        xl("unpause", guest.name)
        dom0.wait_for(f"{guest.home}/data/seen", "yes")
        xl("rename", guest.name, "renamed")
        assert dom0.read(f"{guest.home}/name") == "renamed"
        assert guest.must("xenstore-read name") == "renamed"
        assert dom0.domids() == {"renamed": guest.domid}
        xl("shutdown", "renamed")
        guest.wait_ended()


def devices_come_and_go(dom0: Dom0) -> None:
    """Network and disk are attached to a running guest and detached from it."""
    with living(dom0, "shutdown", devices=False) as guest:
        without = dom0.paths()
        for _ in range(2):
            xl("network-attach", guest.name, f"bridge={BRIDGE}")
            dom0.wait_for(f"{guest.back('vif', '0')}/state", CONNECTED)
            guest.must(UP)
            guest.must(f"ping -c 3 -W 10 {ADDRESS}")
            xl("network-detach", guest.name, "0")
            dom0.wait_gone(guest.back("vif", "0"))
            dom0.wait_gone(guest.front("vif", "0"))
            loop = make_disk(FILES / "attached.disk")
            xl("block-attach", guest.name, f"phy:{loop},xvda,w")
            dom0.wait_for(f"{guest.front('vbd', '51712')}/state", CONNECTED)
            guest.must("head -c 4 /dev/xvda | grep -q disk")
            xl("block-detach", guest.name, "xvda")
            dom0.wait_gone(guest.back("vbd", "51712"))
            dom0.wait_gone(guest.front("vbd", "51712"))
        left = dom0.paths() - without
        assert not [path for path in left if "/data/" not in path], left


SCENARIOS: Final = (
    pv_guest_lives,
    pvh_guest_lives,
    destroyed_guest_leaves_nothing,
    guest_reboots,
    guest_is_saved_and_restored,
    guest_is_paused_and_renamed,
    devices_come_and_go,
    domid_is_used_again,
)
