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


def test_states_and_channels_are_what_they_are_made_of() -> None:
    """A unique id tells domains of a domid apart; a rebound channel is the same."""
    assert len({RUNNING, SHUT_DOWN, DYING}) == 3
    state = DomainState(SHUT_DOWN, 7)
    assert (state.state, state.unique_id) == (SHUT_DOWN, 7)

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
    names = "close connect disconnect domains fileno notify own pending rebind state"
    assert missing == set(names.split())
    assert not EmulatedHypervisor.__abstractmethods__
