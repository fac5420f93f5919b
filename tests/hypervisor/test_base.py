"""xsd.hypervisor.base: what implementations and their users may rely on."""

import pytest

from xsd.hypervisor.base import (
    DYING,
    RUNNING,
    SHUT_DOWN,
    Channel,
    DomainState,
    Hypervisor,
)
from xsd.hypervisor.emulated import EmulatedHypervisor


def test_states_are_told_apart() -> None:
    """One that is shut down can run again, one that is dying cannot."""
    assert len({RUNNING, SHUT_DOWN, DYING}) == 3


def test_domain_state_holds_state_and_unique_id() -> None:
    """The unique id is what tells two domains of the same domid apart."""
    state = DomainState(SHUT_DOWN, 7)

    assert (state.state, state.unique_id) == (SHUT_DOWN, 7)


def test_channel_gets_another_port_when_it_is_rebound() -> None:
    """Domain and page stay."""
    page = memoryview(bytearray(4096))
    channel = Channel(5, 1, page, 7)

    channel.port = 2

    assert (channel.domid, channel.port, channel.page) == (5, 2, page)


@pytest.mark.pure_only  # a compiled class does not say what is missing
def test_hypervisor_without_all_operations_cannot_be_made() -> None:
    """A missing one shows at the start, not when a domain dies."""
    missing = Hypervisor.__abstractmethods__

    with pytest.raises(TypeError, match="abstract"):
        type("Incomplete", (Hypervisor,), {})()
    assert missing == {
        "close",
        "connect",
        "disconnect",
        "domains",
        "fileno",
        "notify",
        "own",
        "pending",
        "rebind",
        "state",
    }
    assert not EmulatedHypervisor.__abstractmethods__
