"""xsd.store.exceeded: how a refusal by a quota reads."""

import pytest

from xsd.protocol.errors import Errno
from xsd.store.exceeded import QuotaExceeded
from xsd.store.quota import DEFAULTS, MEMORY


@pytest.mark.parametrize("quota", DEFAULTS)
def test_only_a_lack_of_memory_is_enomem(quota: str) -> None:
    """Any other limit is ENOSPC, as by C."""
    expected = Errno.ENOMEM if quota == MEMORY else Errno.ENOSPC

    assert QuotaExceeded(5, quota, 10, b"/a").errno is expected


def test_a_refusal_says_whose_limit_it_was() -> None:
    """For the log, and for the counts of a domain."""
    error = QuotaExceeded(5, "nodes", 10, b"/a")

    assert (error.domid, error.quota, error.limit) == (5, "nodes", 10)
    assert error.path == b"/a"
    assert str(error) == "ENOSPC: dom5 is at its quota of 10 nodes: /a"
    assert QuotaExceeded(5, "nodes", 10).path == b""


def test_a_refusal_says_which_node_would_be_too_big() -> None:
    """Another one than was asked for, or nothing."""
    error = QuotaExceeded(5, "node-size", 10, b"/a/b", size=11, node=b"/a")

    assert (error.path, error.node, error.size) == (b"/a/b", b"/a", 11)
    assert (QuotaExceeded(5, "nodes", 10).node, error.limit) == (b"", 10)
