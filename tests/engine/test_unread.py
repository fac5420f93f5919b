"""xsd.engine.unread: what is on the rings of domains, as a record."""

import pytest

from xsd.engine.unread import RINGS, rings_of, rings_record
from xsd.protocol.records import UnknownData
from xsd.protocol.stream import StreamWriter, read_stream, write_stream


def test_what_is_on_rings_goes_through_a_stream() -> None:
    """Any bytes; the padding of a record does not matter."""
    rings = {5: (b"\0asked", b""), 70: (b"", bytes(range(256)))}

    (record,) = read_stream(write_stream([rings_record(rings)], StreamWriter()))

    assert isinstance(record, UnknownData)
    assert record.kind == RINGS
    assert rings_of(record) == rings


@pytest.mark.parametrize("body", [b"", b"{", b'{"5": ["x", ""]}'])
def test_what_is_no_such_record_is_refused(body: bytes) -> None:
    """Nothing is made of it."""
    with pytest.raises(ValueError, match=r".*"):
        rings_of(UnknownData(RINGS, body))
