"""Some domains come and go; `make soak` does it with a thousand."""

from pathlib import Path
from typing import Final

import pytest

from tests.soak.soak import come_and_go, look, soak
from tests.soak.toolstack import Toolstack
from tests.support.daemons import start_xsd

pytestmark = pytest.mark.slow

DOMAINS: Final = 50


def test_nothing_stays_of_domains_that_are_gone(directory: Path) -> None:
    """Neither nodes nor watches nor descriptors, and each round is as the first."""
    assert soak(directory, DOMAINS, 2) == []


def test_what_stays_of_a_domain_is_seen(directory: Path) -> None:
    """A domain that is not destroyed: its nodes, watches and descriptors."""
    with (
        start_xsd(directory, "--hypervisor", "emulated") as daemon,
        Toolstack(str(daemon.socket)) as toolstack,
    ):
        toolstack.dom0.mkdir("/local/domain/0/backend/vif")
        start = look(toolstack, daemon.pid, 5)
        come_and_go(toolstack, daemon.pid, 2)
        assert look(toolstack, daemon.pid, 5) == start
        domain = toolstack.create(3)
        left = look(toolstack, daemon.pid, 5)

        assert left.dom0 != start.dom0
        assert (left.domains, left.known) == ([3], [3])
        assert left.descriptors > start.descriptors
        assert b"/local/domain/3 n3" in left.nodes - start.nodes
        domain.close()
