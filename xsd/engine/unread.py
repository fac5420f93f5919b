"""What is on the rings of domains, beside their connections: a record of a state.

INTRODUCE empties a ring. So whoever hands a domain on has to take along what is on it.
"""

import json
from typing import Final

from xsd.protocol.records import UnknownData

RINGS: Final = 0x78736403
"""Type of the record with it: JSON, by domain id what it has written and nobody took,
and what it was sent and has not read, in hexadecimal."""

OnRings = dict[int, tuple[bytes, bytes]]
"""Bytes that a domain has written and nobody took, and that it has not read."""


def rings_record(rings: OnRings) -> UnknownData:
    """The record."""
    rows = {domid: [one.hex(), other.hex()] for domid, (one, other) in rings.items()}
    return UnknownData(RINGS, json.dumps(rows).encode())


def rings_of(record: UnknownData) -> OnRings:
    """What the record tells.

    Raises:
        ValueError: If it is none.
    """
    rows = json.loads(record.body.rstrip(b"\0"))
    return {
        int(domid): (bytes.fromhex(one), bytes.fromhex(other))
        for domid, (one, other) in rows.items()
    }
