"""xsd.hypervisor.base: what implementations and their users may rely on."""

import pytest

from xsd.hypervisor.base import (
    Hypervisor,
)
from xsd.hypervisor.emulated import EmulatedHypervisor


@pytest.mark.pure_only  # a compiled class does not say what is missing
def test_hypervisor_without_all_operations_cannot_be_made() -> None:
    """A missing one shows at the start, not when a domain dies."""
    missing = Hypervisor.__abstractmethods__

    with pytest.raises(TypeError, match="abstract"):
        type("Incomplete", (Hypervisor,), {})()
    names = (
        "adopt close connect disconnect domains fileno keep let_go notify own pending"
        " rebind state take_back"
    )
    assert missing == set(names.split())
    assert not EmulatedHypervisor.__abstractmethods__
