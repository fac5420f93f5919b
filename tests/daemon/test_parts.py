"""xsd.daemon.parts: what serves whom, as another process is told of it."""

import asyncio
import dataclasses
import os
from pathlib import Path

import pytest

from tests.support.services import on_loop, serving, with_client
from xsd.client import Client
from xsd.daemon.service import Service
from xsd.daemon.settings import Config
from xsd.daemon.succession import Inheritance, read_state, write_state
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.records import ConnectionData
from xsd.testing import PretendedHost


def left_by(service: Service, directory: Path) -> Inheritance:
    """What the service would leave now."""
    data, descriptors = service._parts.state(None)
    write_state(directory / "state", data)
    left = read_state(directory / "state")
    left.remove()
    assert sorted(left.host["descriptors"]) == sorted(descriptors)
    return left


@on_loop
async def test_everything_that_is_open_is_told_of(directory: Path) -> None:
    """Sockets, those of domains, and what pretended domains consist of."""
    config = Config(socket=directory / "socket", hypervisor="emulated")
    found: list[Inheritance] = []
    async with serving(config) as service:

        def talk(dom0: Client) -> None:
            path = f"{config.socket}.hypervisor"
            with PretendedHost(path, timeout=20) as host, host.create(5) as guest:
                dom0.introduce(5, 1, guest.port)
                with Client(f"{config.socket}.dom5", timeout=20) as named:
                    named.get_domain_path(5)
                    ask = asyncio.run_coroutine_threadsafe(look(), loop)
                    ask.result(20)
                host.kill(5)

        async def look() -> None:
            found.append(left_by(service, directory))

        loop = asyncio.get_running_loop()
        await asyncio.to_thread(with_client, config, talk)

    (left,) = found
    clients = [each for each in left.records if isinstance(each, ConnectionData)]
    assert sorted(each.domid for each in clients) == [-1, -1, 5]
    # Two listening sockets and two clients; the control socket and its client; a
    # page and an event channel of three.
    assert len({*left.descriptors()}) == 4 + 2 + 4
    assert set(left.host["guest_sockets"]) == {"5"}
    assert left.host["owns_socket"]
    assert left.host["recording"] == {}


@on_loop
async def test_a_recording_is_told_of_as_long_as_it_goes_on(directory: Path) -> None:
    """One that has ended is not gone on with."""
    config = Config(socket=directory / "socket", hypervisor="emulated")
    config = dataclasses.replace(config, record_file=directory / "tape")
    async with serving(config) as service:
        recorder = service._parts.recorder
        assert recorder is not None
        told = left_by(service, directory).host["recording"]
        assert told == {str(directory / "tape"): recorder.begun}
        recorder.close()
        assert left_by(service, directory).host["recording"] == {}


@on_loop
async def test_no_process_of_the_daemons_outlives_it(directory: Path) -> None:
    """Who makes a copy ends, and who waits for that is told."""
    config = Config(socket=directory / "socket", hypervisor="none")
    async with serving(config) as service:
        client = service._engine.connect(0)
        service._engine.feed(client, encode_frame(Op.CONTROL, 1, 0, b"state\0copy\0"))
        service._engine.turn(0)
        copies = service._parts.copies
        assert copies is not None
        (child,) = copies._children.values()

        service._parts.end_children()

        assert not service._engine.core.deferred
        with pytest.raises(ProcessLookupError):
            os.kill(child.number, 0)
