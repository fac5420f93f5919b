"""xsd.store.census: without a hypervisor nobody is there."""

from xsd.store.census import NoCensus


def test_without_a_hypervisor_no_domain_exists() -> None:
    """Domains are known from INTRODUCE to RELEASE, and nothing is known of others."""
    assert [NoCensus().unique_id(domid) for domid in (0, 5)] == [None, None]
