"""The numbers of the wire protocol."""

from xsd.protocol import limits


def test_sizes_are_those_of_xs_wire() -> None:
    """Frames, paths and rings have the sizes that every client assumes."""
    assert (limits.HEADER_SIZE, limits.PAYLOAD_MAX) == (16, 4096)
    assert (limits.ABS_PATH_MAX, limits.REL_PATH_MAX) == (3072, 2048)
    assert limits.RING_SIZE == 1024


def test_reserved_domain_ids_are_those_of_xen() -> None:
    """Ids from 0x7FF0 on are not domains of their own."""
    assert limits.DOMID_FIRST_RESERVED == limits.DOMID_SELF == 32752
    assert limits.DOMID_INVALID == 32756
    assert limits.DOMID_ANY == 32757
    assert limits.DOMID_MAX == 65535
