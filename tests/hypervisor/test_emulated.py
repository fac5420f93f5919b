"""xsd.hypervisor.emulated: rings and event channels without Xen."""

import errno
import json
import mmap
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.descriptors import few_descriptors_left, open_descriptors
from tests.support.pretended import PORT_WORD, Host, port_in_page
from tests.support.turns import TurnTaker
from xsd.hypervisor.base import DYING, EVENTS_MAX, RUNNING, SHUT_DOWN
from xsd.hypervisor.emulated import EmulatedHypervisor

ONE = (1).to_bytes(8, sys.byteorder)
"""What a guest reads for a notification."""


@contextmanager
def einval(said: str) -> Iterator[None]:
    """Expect EINVAL with such a reason."""
    with pytest.raises(OSError, match=said) as caught:
        yield
    assert caught.value.errno == errno.EINVAL


def state_of(host: Host) -> tuple[int, int] | None:
    """State and unique id of domain 5, None if it does not exist."""
    found = host.hypervisor.state(5)
    return None if found is None else (found.state, found.unique_id)


# Channels


def test_page_is_shared_and_can_be_neither_cut_nor_unsealed(host: Host) -> None:
    """Both sides write; a guest that cut it would kill us at the next look."""
    channel, page, _, _ = host.connect()
    with mmap.mmap(page, 4096) as guest:
        channel.page[0] = 1
        guest[4095] = 2
        assert (guest[0], channel.page[4095]) == (1, 2)
        assert channel.page.nbytes == 4096

    for size in (0, 8192):
        with pytest.raises(PermissionError):
            os.ftruncate(page, size)


def test_bound_port_fires_once(host: Host) -> None:
    """As with Xen, so that nothing in the ring is missed; bound anew as well."""
    port = host.create()
    channel = host.hypervisor.connect(5, port)
    assert host.is_awake()
    assert host.hypervisor.pending() == ([channel.port], False)
    assert not host.is_awake()
    assert host.hypervisor.pending() == ([], False)

    host.hypervisor.rebind(channel, port)
    assert host.hypervisor.pending() == ([channel.port], False)


def test_notifications_are_told_once_and_again_after(host: Host) -> None:
    """However often the guest notifies in between; it is told as often as we notify."""
    channel, _, to_daemon, to_guest = host.connect()
    for _ in range(3):
        os.eventfd_write(to_daemon, 1)
        os.eventfd_write(to_daemon, 1)
        assert host.is_awake()
        assert host.hypervisor.pending() == ([channel.port], False)
        assert not host.is_awake()

    host.hypervisor.notify(channel)
    host.hypervisor.notify(channel)
    assert os.read(to_guest, 100) == 2 * ONE
    with pytest.raises(BlockingIOError):
        os.read(to_guest, 100)


def test_many_notifications_are_told_in_several_calls(host: Host) -> None:
    """None is lost and none is named twice."""
    domids = range(1, EVENTS_MAX + 7)
    ports = [host.create(domid) for domid in domids]
    channels = list(map(host.hypervisor.connect, domids, ports))
    first, _ = host.hypervisor.pending()
    second, _ = host.hypervisor.pending()

    assert len(first) == EVENTS_MAX
    assert sorted(first + second) == sorted(channel.port for channel in channels)
    assert not host.is_awake()


def test_guest_cannot_make_us_wait(host: Host) -> None:
    """Whatever flags it gives its ends, and however full it makes them."""
    channel, _, to_daemon, to_guest = host.connect()
    again = os.open(f"/proc/self/fd/{to_guest}", os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while os.write(again, bytes(4096)):
            pass
    os.close(again)
    os.set_blocking(to_guest, True)
    os.set_blocking(to_daemon, True)
    os.eventfd_write(to_daemon, 1)
    os.eventfd_read(to_daemon)
    host.hypervisor.notify(channel)

    assert host.hypervisor.pending() == ([], False)
    os.eventfd_write(to_daemon, 1)
    assert host.hypervisor.pending() == ([channel.port], False)


def test_only_an_unbound_port_of_a_domain_can_be_connected(host: Host) -> None:
    """After a disconnect it is unbound again. A want of descriptors leaves nothing."""
    with einval("cannot be connected"):
        host.hypervisor.connect(5, 1)
    port = host.create()
    with einval("no unbound port"):
        host.hypervisor.connect(5, port + 1)
    with few_descriptors_left(), pytest.raises(OSError, match="Too many open"):
        host.hypervisor.connect(5, port)
    assert host.hypervisor.pending() == ([], False)
    channel = host.hypervisor.connect(5, port)
    # Our end's number is not taken for it.
    assert channel.port != port
    with einval("cannot be connected"):
        host.hypervisor.connect(5, port)
    host.hypervisor.disconnect(channel)

    assert host.hypervisor.connect(5, port).port != channel.port


def test_disconnected_channel_cannot_be_used(host: Host) -> None:
    """Nor disconnected again; its notifications are not heard any more.

    With a view left that is told; the page is unmapped with the view.
    """
    channel, _, to_daemon, _ = host.connect()
    view = channel.page[:8]
    with pytest.raises(BufferError):
        host.hypervisor.disconnect(channel)
    assert bytes(view) == b"\0" * 8
    port = host.hypervisor._domains[5].events.port
    channel = host.hypervisor.connect(5, port)
    assert host.hypervisor.pending() == ([channel.port], False)
    view.release()

    host.hypervisor.disconnect(channel)
    os.eventfd_write(to_daemon, 1)
    assert host.hypervisor.pending() == ([], False)
    for use in (host.hypervisor.notify, host.hypervisor.disconnect):
        with einval("not connected"):
            use(channel)


# Life and death


def test_shut_down_domain_can_run_again(host: Host) -> None:
    """Its end is told once, its going on is not, as with Xen; it can be connected."""
    port = host.create()
    host.changed = False
    assert host.ask("shutdown", domid=5)["state"] == "shutdown"
    assert host.changed
    assert state_of(host) == (SHUT_DOWN, 1)
    # One that was restored may not have run yet.
    channel = host.hypervisor.connect(5, port)
    assert host.hypervisor.pending() == ([channel.port], False)
    host.changed = False
    assert host.ask("shutdown", domid=5)["state"] == "shutdown"
    assert host.ask("resume", domid=5)["state"] == "running"
    assert not host.changed


def test_killed_domain_that_nobody_has_mapped_is_gone(host: Host) -> None:
    """There is nothing it would wait for."""
    port = host.create()
    host.changed = False
    gone = {"domid": 5, "state": "gone", "unique_id": 1, "port": port}
    assert host.ask("kill", domid=5) == gone

    assert host.changed
    assert state_of(host) is None
    assert host.hypervisor.domains() == []


def test_killed_domain_is_dying_until_it_is_disconnected(host: Host) -> None:
    """Its page stays; that it is gone is told as well."""
    channel, page, to_daemon, to_guest = host.connect()
    host.changed = False
    assert host.ask("kill", domid=5)["state"] == "dying"
    assert host.changed
    assert state_of(host) == (DYING, 1)
    assert host.hypervisor.domains() == [5]
    with mmap.mmap(page, 4096) as guest:
        guest[0] = 1
        assert channel.page[0] == 1
    host.hypervisor.notify(channel)
    assert os.read(to_guest, 100) == ONE
    os.eventfd_write(to_daemon, 1)
    assert host.hypervisor.pending() == ([channel.port], False)

    # It cannot be stopped, resumed or handed over; to kill it again is no error.
    host.changed = False
    for do in ("shutdown", "resume", "attach"):
        assert host.ask(do, domid=5)["error"] == "ESRCH"
    assert host.ask("kill", domid=5)["state"] == "dying"
    assert not host.changed
    with einval("dying"):
        host.hypervisor.rebind(channel, 1)

    host.hypervisor.disconnect(channel)
    assert state_of(host) is None
    assert host.is_awake()
    assert host.hypervisor.pending() == ([], True)
    assert not host.is_awake()


def test_domid_used_again_is_another_domain(host: Host) -> None:
    """New page, new unique id; the old channel stays what it was."""
    old, *_ = host.connect()
    old.page[0] = 1
    host.ask("kill", domid=5)
    host.changed = False
    new = host.hypervisor.connect(5, host.create(5))

    assert host.changed
    assert state_of(host) == (RUNNING, 2)
    assert (old.page[0], new.page[0]) == (1, 0)
    host.hypervisor.disconnect(old)
    assert state_of(host) == (RUNNING, 2)
    assert host.hypervisor.pending() == ([new.port], False)


# A port that the page names


@pytest.mark.parametrize(
    ("in_page", "asked"),
    [(1, 2), (0, 1), (77, 1)],
    ids=[
        "it is bound in the place of the one that was told",
        "a page that names none changes nothing",
        "a wrong one is no hindrance",
    ],
)
def test_port_in_the_page_is_bound(host: Host, in_page: int, asked: int) -> None:
    """The domain's is 1; two wrong ones leave nothing mapped."""
    assert host.create() == 1
    page = host.control.descriptors[0]
    os.pwrite(page, struct.pack("=I", 77), 4 * PORT_WORD)
    with einval("no unbound port 78"):
        host.hypervisor.connect(5, 78, port_in_page)
    os.pwrite(page, struct.pack("=I", in_page), 4 * PORT_WORD)
    channel = host.hypervisor.connect(5, asked, port_in_page)

    assert channel.remote_port == 1
    assert host.hypervisor.pending() == ([channel.port], False)


# Event channels that change


def test_resumed_domain_may_have_another_port(host: Host) -> None:
    """The old event channel works until the daemon binds the new one."""
    channel, _, old_to_daemon, old_to_guest = host.connect()
    old_port = channel.port
    host.ask("shutdown", domid=5)

    port = host.ask("resume", domid=5, new_port=True)["port"]
    _, to_daemon, to_guest = host.control.descriptors
    with einval("no unbound port"):
        host.hypervisor.rebind(channel, 77)
    assert channel.port == old_port
    os.eventfd_write(old_to_daemon, 1)
    assert host.hypervisor.pending() == ([old_port], False)
    host.hypervisor.notify(channel)
    assert os.read(old_to_guest, 100) == ONE
    assert isinstance(port, int)
    host.hypervisor.rebind(channel, port)

    assert channel.port not in {old_port, port}
    assert host.hypervisor.pending() == ([channel.port], False)
    os.eventfd_write(old_to_daemon, 1)
    assert host.hypervisor.pending() == ([], False)
    os.eventfd_write(to_daemon, 1)
    assert host.hypervisor.pending() == ([channel.port], False)
    host.hypervisor.notify(channel)
    assert os.read(to_guest, 100) == ONE
    assert os.read(old_to_guest, 100) == b""


def test_new_port_replaces_one_that_was_not_bound(host: Host) -> None:
    """However often: descriptors are those of one event channel."""
    port = host.create()
    host.ask("resume", domid=5, new_port=True)
    assert host.ask("resume", domid=5, new_port="yes")["error"] == "EINVAL"
    with einval("no unbound port"):
        host.hypervisor.connect(5, port)
    before = len(open_descriptors())
    for _ in range(5):
        host.ask("resume", domid=5, new_port=True)

    assert len(open_descriptors()) == before + 5 * len(host.control.descriptors)


def test_killed_domain_with_two_event_channels_leaves_none(host: Host) -> None:
    """The one that the daemon had, and the one that it never bound."""
    host.ask("list")
    before = len(open_descriptors())
    channel, *_ = host.connect()
    host.ask("resume", domid=5, new_port=True)
    host.ask("kill", domid=5)
    host.hypervisor.disconnect(channel)

    assert len(open_descriptors()) == before + 2 * 3


# Domain 0, control clients, and the end


def test_own_channel_is_that_of_domain_0_if_it_was_created(host: Host) -> None:
    """Asked again it is the same one."""
    assert host.hypervisor.own() is None
    host.connect(5)
    assert host.hypervisor.own() is None
    port = host.create(0)
    channel = host.hypervisor.own()

    assert channel is not None
    assert channel.domid == 0
    assert host.hypervisor.own() is channel
    with einval("cannot be connected"):
        host.hypervisor.connect(0, port)


def test_clients_that_find_no_descriptors_do_not_keep_us_awake(host: Host) -> None:
    """Somebody has to call in a while; then they are served."""
    assert not host.hypervisor.is_short
    with TurnTaker(host.path, host.turn) as waiting:
        with few_descriptors_left():
            for _ in range(3):
                host.turn()
                assert not host.is_awake()
                assert host.hypervisor.is_short

        assert waiting.ask({"do": "list"}) == {"domains": []}
    assert not host.hypervisor.is_short


def test_close_gives_everything_back(control_path: Path) -> None:
    """Connected domains, dying ones, waiting clients; twice is once."""
    before = open_descriptors()
    with ExitStack() as stack:
        host = Host(control_path)
        stack.enter_context(host.control)
        view = host.connect(1)[0].page[:1]
        host.connect(2)
        host.ask("kill", domid=2)
        host.create(2)
        host.connect(3)
        host.ask("resume", domid=3, new_port=True)
        stack.enter_context(TurnTaker(control_path, host.hypervisor.pending))
        host.hypervisor.pending()
        host.hypervisor.close()
        host.hypervisor.close()

        assert host.control.is_cut_off()
        assert not control_path.exists()
        view.release()
        del view
    assert open_descriptors() == before


def test_path_in_use_leaves_nothing(host: Host, control_path: Path) -> None:
    """The first one goes on."""
    before = open_descriptors()
    with pytest.raises(OSError, match="in use"):
        EmulatedHypervisor(str(control_path))

    assert open_descriptors() == before
    assert host.ask("list") == {"domains": []}


# In another process


def duplicated(kept: dict[str, Any]) -> dict[str, Any]:
    """What another process has: the same open files by descriptors of its own."""
    kept = json.loads(json.dumps(kept))
    listener, clients = kept["control"]
    kept["control"] = [os.dup(listener), [[os.dup(fd), line] for fd, line in clients]]
    for row in (*kept["domains"], *kept["bindings"]):
        row[-1] = [os.dup(fd) for fd in row[-1]]
    return kept


def test_another_process_goes_on_with_domains_and_their_ports(host: Host) -> None:
    """With an older event channel than the domain's present one, and with who asks."""
    channel, _, _, to_guest = host.connect(5)
    bound = channel.remote_port
    host.ask("resume", domid=5, new_port=True)
    channel.page[7] = 9
    kept, descriptors = host.hypervisor.keep()
    assert len(descriptors) == len({*descriptors}) == 2 + 4 + 3

    other = EmulatedHypervisor(str(host.path), 0, duplicated(kept))
    try:
        found = other.adopt(5, channel.port)
        assert (found.port, found.remote_port) == (channel.port, bound)
        assert found.page[7] == 9
        assert other.pending()[0] == [channel.port]
        other.notify(found)
        assert os.read(to_guest, 8) == ONE
        state = other.state(5)
        assert state is not None
        assert state.state == RUNNING
        told = other.keep()[0]
        assert told["last"] == kept["last"]
        assert json.dumps(told["bindings"]).count("[") == 3
        with einval("is not connected by"):
            other.adopt(5, channel.port)
        other.let_go()
        other.take_back()
    finally:
        other.close()
