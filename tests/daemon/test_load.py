"""The daemon under many clients, and under one that does not read.

What it does then is pinned by the tests of the transport; here are its costs.
"""

import resource
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from tests.support.processes import (
    Place,
    connect,
    descriptors,
    end,
    memory,
    wait_until,
)
from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.ops import Op

pytestmark = pytest.mark.slow

MANY: Final = 5000
"""Clients that are there at once, if the system allows so many open files."""

MIB: Final = 1024 * 1024

GROWTH_MAX: Final = 96 * MIB
"""Memory that clients who do not read may cost, with 200 MB on its way to them."""

WATCHES: Final = 50
TOKEN_SIZE: Final = 4000


@pytest.fixture
def many() -> Iterator[int]:
    """The number of sockets that this process and a daemon can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(MANY, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_cut_off(client: socket.socket) -> bool:
    """Tell whether the daemon has ended a connection, without reading from it."""
    poll = select.poll()
    poll.register(client, 0)
    return bool(poll.poll(0))


def round_trips(place: Place, count: int) -> None:
    """Write and read as another client; each answer must come in time."""
    with place.client() as client:
        for number in range(count):
            client.write("/other", b"%d" % number)
            assert client.read("/other") == b"%d" % number


def report(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Show a figure that is not judged."""
    with capsys.disabled():
        print(f"\n{text}")  # noqa: T201


def test_thousands_of_idle_clients_cost_others_nothing(
    place: Place, many: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of them have sent half a request; when they go, their descriptors do."""
    process = place.start()
    round_trips(place, 100)
    before, files = memory(process.pid), descriptors(process.pid)
    with ExitStack() as held:
        clients = []
        for number in range(many):
            client = held.enter_context(connect(place.socket))
            if number % 2:
                client.send(b"\x02\0\0\0\0\0\0\0")
            clients.append(client)

        # Clients are accepted in their order, so now all of those are.
        round_trips(place, 1000)

        each = (memory(process.pid) - before) // many
        for client in clients[:: many // 10]:
            assert not is_cut_off(client)
    report(capsys, f"{many} idle clients cost {each} bytes each")
    wait_until(lambda: descriptors(process.pid) <= files, "descriptors are left open")
    round_trips(place, 100)
    assert end(process) == 0


def deaf_watcher(place: Place) -> socket.socket:
    """A client with watches below /t that has read its acknowledgements, and no more.

    Each change below /t is some 4,000 bytes for each of the watches.
    """
    client = connect(place.socket)
    decoder = FrameDecoder()
    for number in range(WATCHES):
        token = b"%03d" % number + b"x" * (TOKEN_SIZE - 3)
        client.sendall(encode_frame(Op.WATCH, number, 0, b"/t\0" + token + b"\0"))
        # The acknowledgement, and the event that comes with every new watch.
        frames = decoder.feed(client.recv(65536))
        while len(frames) < 2:
            frames += decoder.feed(client.recv(65536))
    return client


def test_a_client_that_does_not_read_its_events_costs_a_bounded_amount(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 16 MiB it is cut off, whatever comes then; another one is served throughout.

    It comes back at once, so that 200 MB of events are on their way to it in all.
    """
    process = place.start()
    round_trips(place, 100)
    before = memory(process.pid)
    caused = 0
    watcher = deaf_watcher(place)
    times = 1
    with place.client() as writer:
        while caused < 200_000_000:
            writer.write(b"/t/%d" % (caused % 9973), b"")
            caused += WATCHES * TOKEN_SIZE
            if is_cut_off(watcher):
                watcher.close()
                watcher = deaf_watcher(place)
                times += 1
    watcher.close()

    grown = memory(process.pid, "VmHWM") - before
    report(capsys, f"at most {grown // MIB} MiB for events, {times} times cut off")
    assert grown < GROWTH_MAX
    assert len(place.lines("connection.too_slow")) >= 1
    round_trips(place, 100)
    assert end(process) == 0
