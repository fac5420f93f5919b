"""The real hypervisor, run on a pretended one; `shim.py` tells what that hides."""

import errno
import json
import os
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.hypervisor.shim import Shim, is_readable, kicks, under_shim
from tests.peers.domu import DomU
from tests.support.descriptors import open_descriptors
from tests.support.pretended import PORT_WORD, port_in_page
from xsd.hypervisor import xen as module
from xsd.hypervisor import xendomains
from xsd.hypervisor.base import DYING, RUNNING, SHUT_DOWN, Channel
from xsd.hypervisor.xen import XenHypervisor, available
from xsd.protocol.ring import Ring


def mappings_of(name: str) -> int:
    """Return how often a file is mapped into this process."""
    maps = Path("/proc/self/maps").read_text("ascii")
    return sum(line.endswith(f"/{name}") for line in maps.splitlines())


def state_of(xen: XenHypervisor, domid: int) -> int | None:
    """Return a domain's state, None if it does not exist."""
    found = xen.state(domid)
    return None if found is None else found.state


@contextmanager
def with_guest(shim: Shim) -> Iterator[tuple[XenHypervisor, DomU]]:
    """Open the hypervisor where there is a domain 5."""
    with closing(shim.guest(5)) as guest, closing(XenHypervisor()) as xen:
        yield xen, guest


@contextmanager
def connected(shim: Shim) -> Iterator[tuple[XenHypervisor, DomU, Channel]]:
    """Have that domain connected."""
    with with_guest(shim) as (xen, guest):
        yield xen, guest, xen.connect(5, guest.port)


# Where there is Xen.


@under_shim
def test_xen_is_available_where_its_libraries_and_its_device_are(shim: Shim) -> None:
    """One that merely has the libraries is no dom0; nothing stays open by asking."""
    before = open_descriptors()
    assert available()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BACKEND", shim.directory / "absent")
        assert not available()
    assert open_descriptors() == before


@under_shim
def test_xen_is_not_available_without_libraries_that_know_domains(shim: Shim) -> None:
    """Otherwise the death of a domain would never be noticed; nothing stays open."""
    assert shim.directory.is_dir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MANAGE_SONAME", "libxenabsent.so.1")
        patch.setattr(module, "control_sonames", lambda: ["libxenabsent.so.2"])
        assert not available()

    before = open_descriptors()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xendomains, "control_sonames", list)
        with pytest.raises(FileNotFoundError, match="libxenctrl"):
            XenHypervisor()
    assert open_descriptors() == before


def test_xen_is_not_available_without_its_libraries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Importing the module needs none of them."""
    monkeypatch.setattr(module, "_EVENT_CHANNELS_SONAME", "libxenabsent.so.1")
    monkeypatch.setattr(module, "_GRANTS_SONAME", "libxenabsent.so.2")

    assert not available()
    with pytest.raises(FileNotFoundError):
        XenHypervisor()


# The kernel that we run on.


@under_shim
def test_the_own_kernel_may_be_that_of_another_domain(shim: Shim) -> None:
    """The event channel is that domain's."""
    with closing(shim.guest(3)) as kernel, closing(XenHypervisor(3)) as xen:
        (shim.directory / "evtchn-3").write_text("1")
        channel = xen.own()
        assert channel is not None
        assert channel.domid == 3
        assert kicks(kernel) == 1


@under_shim
def test_the_own_kernel_is_woken_and_served_on_its_ring(shim: Shim) -> None:
    """The first notification tells dom0's kernel that its XenStore is there.

    Asking again neither binds nor notifies again, until it is disconnected.
    """
    with closing(shim.kernel()) as kernel, closing(XenHypervisor()) as xen:
        channel = xen.own()
        assert channel is not None
        assert channel.domid == 0
        assert xen.own() is channel
        assert kicks(kernel) == 1
        kernel.send(b"request")
        assert is_readable(xen.fileno())
        assert xen.pending() == ([channel.port], False)
        ring = Ring(channel.page)
        assert ring.read_requests(1024) == b"request"
        ring.release()

        mapped = mappings_of("ring-0")
        xen.disconnect(channel)
        assert mappings_of("ring-0") == mapped - 1
        assert xen.own() not in {None, channel}
        assert kicks(kernel) == 1


@under_shim
def test_a_kernel_that_offers_no_ring_or_no_port_has_no_channel(shim: Shim) -> None:
    """A domain other than dom0 has no such device; ENODEV: XenStore is elsewhere."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENODEV, "no port")

    with closing(shim.kernel()), closing(XenHypervisor()) as xen:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_BACKEND", shim.directory / "absent")
            assert xen.own() is None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("fcntl.ioctl", refuse)
            assert xen.own() is None
        assert xen.own() is not None


@under_shim
def test_a_ring_of_the_kernel_that_cannot_be_had_is_an_error(shim: Shim) -> None:
    """It is there: without it dom0 itself would not be served."""

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EPERM, "not for you")

    with closing(XenHypervisor()) as xen, pytest.MonkeyPatch.context() as patch:
        patch.setattr("fcntl.ioctl", refuse)
        with pytest.raises(PermissionError):
            xen.own()
        patch.setattr(module, "_BACKEND", shim.directory)
        with pytest.raises(IsADirectoryError):
            xen.own()


# Pages and events.


@under_shim
def test_bytes_and_notifications_go_both_ways(shim: Shim) -> None:
    """The page is 4,096 bytes of the guest's memory; each side can wake the other."""
    with connected(shim) as (xen, guest, channel):
        ring = Ring(channel.page)
        guest.send(b"\x01\x02 to the server")
        assert is_readable(xen.fileno())
        assert xen.pending() == ([channel.port], False)
        assert ring.read_requests(1024) == b"\x01\x02 to the server"
        assert ring.write_responses(b"\xff to the guest") == 14
        assert kicks(guest) == 0
        xen.notify(channel)
        assert kicks(guest) == 1
        assert guest.receive_some(0) == b"\xff to the guest"
        ring.release()

        page = channel.page
        assert (page.format, page.nbytes, page.readonly) == ("B", 4096, False)
        page[0], page[4095] = 0x61, 0x7A
        assert (guest.map[0], guest.map[4095]) == (0x61, 0x7A)


@under_shim
def test_guests_have_pages_and_ports_of_their_own(shim: Shim) -> None:
    """An event leads to the guest that sent it; a flood keeps nobody's for long."""
    with connected(shim) as (xen, five, first), closing(shim.guest(6)) as six:
        second = xen.connect(6, six.port)
        six.send(b"six")
        assert xen.pending() == ([second.port], False)
        five.send(b"five")
        six.send(b"again")
        assert xen.pending() == ([first.port, second.port], False)
        assert bytes(first.page[:4]) == b"five"
        assert bytes(second.page[:8]) == b"sixagain"

        for guest in (five, five, five, six):
            guest.notify()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "EVENTS_MAX", 3)
            assert xen.pending() == ([first.port], False)
            assert is_readable(xen.fileno(), 0)
            assert xen.pending() == ([second.port], False)


@under_shim
def test_nothing_pending_is_told_without_waiting(shim: Shim) -> None:
    """The descriptor is not readable; if it is, Linux may have withdrawn the event."""

    def find_nothing() -> int:
        raise BlockingIOError(errno.EAGAIN, "nothing")

    with connected(shim) as (xen, guest, channel):
        assert not is_readable(xen.fileno(), 0)
        assert xen.pending() == ([], False)
        for _ in range(10):
            guest.notify()
        # Many events of a port are told once: the ring has to be looked at once.
        assert xen.pending() == ([channel.port], False)
        assert not is_readable(xen.fileno(), 0)
        assert xen.pending() == ([], False)

        guest.notify()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(xen, "_next_event", find_nothing)
            assert not os.get_blocking(xen.fileno())
            assert xen.pending() == ([], False)


@under_shim
def test_records_of_the_shim_are_what_these_tests_take_them_for(shim: Shim) -> None:
    """An event is two words, the domain and its port: written here without domu."""
    with connected(shim) as (xen, _, channel):
        with (shim.directory / "port").open("wb", buffering=0) as fifo:
            fifo.write(struct.pack("=II", 5, 105))

        assert xen.pending() == ([channel.port], False)


# Domains.


@under_shim
def test_a_domain_that_dies_is_told_of(shim: Shim) -> None:
    """By the virtual interrupt DOM_EXC, which is no port of a guest; by no other."""
    with connected(shim) as (xen, guest, channel):
        guest.mark("dying")
        guest.virq()
        assert is_readable(xen.fileno())
        assert xen.pending() == ([], True)
        assert state_of(xen, 5) == DYING
        guest.send(b"last words")
        guest.virq()
        assert xen.pending() == ([channel.port], True)
        assert xen.pending() == ([], False)

        with closing(shim.kernel()) as kernel:
            xen.own()
            kernel.virq(4)
            assert not xen.pending()[1]


@under_shim
def test_a_domain_runs_shuts_down_dies_and_is_gone(shim: Shim) -> None:
    """Dying is stronger than shut down; a resumed domain runs again."""
    with with_guest(shim) as (xen, guest):
        seen = [state_of(xen, 5)]
        for name, on in (("shutdown", True), ("shutdown", False), ("shutdown", True)):
            guest.mark(name, on=on)
            seen.append(state_of(xen, 5))
        guest.mark("dying")
        seen.append(state_of(xen, 5))
        guest.vanish()
        seen.append(state_of(xen, 5))

    assert seen == [RUNNING, SHUT_DOWN, RUNNING, SHUT_DOWN, DYING, None]


@under_shim
def test_dom0_is_a_domain_and_reserved_ids_are_none(shim: Shim) -> None:
    """Ids from 0x7ff0 on mean something else to Xen, as the caller itself."""
    assert shim.directory.is_dir()
    with closing(XenHypervisor()) as xen:
        assert state_of(xen, 0) == RUNNING
        assert state_of(xen, 0x7FF0) is None
        assert state_of(xen, 0x7FF4) is None
        assert 0 in xen.domains()
        # The page of one that does not exist cannot be mapped.
        for domid, said in (
            (0x7FF0, "32752 is no domain"),
            (9, "xengnttab_map_grant_ref"),
        ):
            with pytest.raises(OSError, match=said) as caught:
                xen.connect(domid, 109)
            assert caught.value.errno == errno.EINVAL


# Which port is bound.


@under_shim
def test_the_port_in_the_page_or_the_one_that_was_told_is_bound(shim: Shim) -> None:
    """In this order; two wrong ones leave nothing mapped."""
    with with_guest(shim) as (xen, guest):
        right, mapped = guest.port, mappings_of("ring-5")
        for in_page in (0, 77, 0xFFFFFFFF):
            guest.words[PORT_WORD] = in_page
            with pytest.raises(OSError, match=r"bind_interdomain\(5, 78\)") as caught:
                xen.connect(5, 78, port_in_page)
            assert caught.value.errno == errno.EINVAL
            assert mappings_of("ring-5") == mapped

        for in_page, asked in ((right, 77), (77, right), (0, right)):
            guest.words[PORT_WORD] = in_page
            channel = xen.connect(5, asked, port_in_page)
            guest.notify()
            assert channel.remote_port == right
            assert xen.pending() == ([channel.port], False)
            xen.disconnect(channel)


@under_shim
def test_a_channel_moves_to_another_port_if_it_can_have_it(shim: Shim) -> None:
    """A resumed guest has a new event channel; a wrong request does not cut it off."""
    with connected(shim) as (xen, guest, channel):
        page, old = channel.page, channel.port
        with pytest.raises(OSError, match=r"bind_interdomain\(5, 77\)"):
            xen.rebind(channel, 77)
        guest.notify()
        xen.notify(channel)
        assert channel.port == old
        assert xen.pending() == ([old], False)
        assert kicks(guest) == 1

        guest.offer(205)
        xen.rebind(channel, 205)
        guest.send(b"resumed")
        assert xen.pending() == ([channel.port], False)
        assert channel.page is page
        assert bytes(page[:7]) == b"resumed"
        with pytest.raises(OSError, match=r"notify\("):
            xen.notify(Channel(5, old, page, 105))


# What is given back.


@under_shim
def test_a_disconnected_channel_has_neither_page_nor_port(shim: Shim) -> None:
    """An event that is on its way does no harm; the domain can be connected anew."""
    with with_guest(shim) as (xen, guest):
        mapped = mappings_of("ring-5")
        channel = xen.connect(5, guest.port)
        assert mappings_of("ring-5") == mapped + 1
        guest.notify()
        xen.disconnect(channel)
        assert xen.pending() in [([], False), ([], True)]

        assert mappings_of("ring-5") == mapped
        with pytest.raises(ValueError, match="released memoryview"):
            channel.page[0]
        with pytest.raises(OSError, match="notify") as caught:
            xen.notify(channel)
        assert caught.value.errno == errno.EINVAL
        with pytest.raises(OSError, match="5 is not connected") as caught:
            xen.disconnect(channel)
        assert caught.value.errno == errno.ENOTCONN
        assert xen.connect(5, guest.port).page[0] == 0


@under_shim
def test_a_page_stays_mapped_as_long_as_a_view_of_it_is_held(shim: Shim) -> None:
    """A look at memory that is gone would end the process."""
    with connected(shim) as (xen, guest, channel):
        ring = Ring(channel.page)
        with pytest.raises(BufferError):
            xen.disconnect(channel)
        guest.send(b"still here")
        assert xen.pending() == ([channel.port], False)
        assert ring.read_requests(1024) == b"still here"
        ring.release()
        xen.disconnect(channel)

        with pytest.raises(OSError, match="not connected"):
            xen.disconnect(channel)


@under_shim
def test_closing_gives_everything_back(shim: Shim) -> None:
    """Afterwards nothing works, and nothing crashes."""
    before = open_descriptors()
    with closing(shim.guest(5)) as guest:
        during = open_descriptors()
        xen = XenHypervisor()
        assert xen.own() is not None
        channel = xen.connect(5, guest.port)
        xen.close()
        xen.close()

        assert mappings_of("ring-0") == 0
        assert open_descriptors() == during
        with pytest.raises(OSError, match="closed") as caught:
            xen.notify(channel)
        assert caught.value.errno == errno.EBADF
        for call in (xen.fileno, xen.own, xen.domains, lambda: xen.state(5)):
            with pytest.raises(OSError, match="closed"):
                call()
    assert open_descriptors() == before


@under_shim
def test_another_process_goes_on_with_what_was_bound(shim: Shim) -> None:
    """With our kernel's page and those of guests, by the ports that there were."""
    with closing(shim.guest(5)) as guest, closing(shim.kernel()):
        xen = XenHypervisor()
        own = xen.own()
        channel = xen.connect(5, guest.port)
        assert own is not None
        kept, descriptors = xen.keep()
        assert descriptors == [xen.fileno()]

        other = XenHypervisor(0, json.loads(json.dumps(kept)))
        for each in (own, channel):
            found = other.adopt(each.domid, each.port)
            assert (found.port, found.remote_port) == (each.port, each.remote_port)
        assert other.own() is not None
        guest.send(b"to whoever serves")
        ports: list[int] = []
        while channel.port not in ports:
            assert is_readable(other.fileno())
            ports += other.pending()[0]
        kicks(guest)
        other.notify(found)
        assert is_readable(guest.kick)


@under_shim
def test_another_daemon_is_told_of_ends_in_our_place(shim: Shim) -> None:
    """It binds the interrupt itself; if there is none after all, we do so again."""
    with closing(shim.guest(5)), closing(XenHypervisor()) as xen:
        xen.let_go()
        xen.take_back()
        kept, _descriptors = xen.keep()
        assert isinstance(kept["virq"], int)


# After a kill, with the device of event channels from somebody who has kept it open.


@under_shim
def test_what_a_killed_process_had_bound_is_gone_on_with(shim: Shim) -> None:
    """By the same ports of ours, the interrupt's and the kernel's too."""
    with closing(shim.guest(5)) as gone, closing(shim.guest(6)) as guest:
        killed = XenHypervisor()
        own = killed.own()
        killed.disconnect(killed.connect(5, gone.port))
        before = [killed.connect(6, guest.port).port, killed._virq]
        descriptor = os.dup(killed.fileno())
        with closing(
            XenHypervisor(0, {"evtchn": descriptor, "held": True})
        ) as following:
            assert own is not None
            found = following.own()
            assert found is not None
            assert found.port == own.port
            assert [following.connect(6, guest.port).port, following._virq] == before
            # And one that comes is bound as ever.
            assert following.connect(5, gone.port).port not in before


@under_shim
def test_a_port_that_means_another_domain_by_now_is_bound_anew(shim: Shim) -> None:
    """It was bound when the process was killed, and is not any more."""
    with closing(shim.guest(6)) as guest:
        killed = XenHypervisor()
        port = killed.connect(6, guest.port).port
        descriptor = os.dup(killed.fileno())
        with closing(
            XenHypervisor(0, {"evtchn": descriptor, "held": True})
        ) as following:
            following._unbind(port)
            following._bind_virq(9)

            assert following.connect(6, guest.port).port != port
