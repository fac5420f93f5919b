"""The shared page: index arithmetic under friendly and hostile guests."""

import struct
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xsd.protocol.ring import (
    CONNECTED,
    ERROR_COMMUNICATION,
    ERROR_NONE,
    ERROR_PROTOCOL,
    ERROR_RING_INDEX,
    RECONNECT,
    Ring,
    RingError,
)

U32 = st.integers(0, 2**32 - 1)


def new_page(*indexes: int) -> bytearray:
    """A page with these req_cons, req_prod, rsp_cons and rsp_prod."""
    page = bytearray(4096)
    page[2048 : 2048 + 4 * len(indexes)] = struct.pack(f"={len(indexes)}I", *indexes)
    return page


def ring_of(*indexes: int) -> tuple[bytearray, Ring]:
    """A page with these indexes, and the ring in it."""
    page = new_page(*indexes)
    return page, Ring(memoryview(page))


def indexes_of(page: bytearray) -> tuple[int, ...]:
    return struct.unpack_from("=4I", page, 2048)


def test_server_reads_what_the_guest_wrote() -> None:
    """Requests are at byte 0, their indexes at 2048 and 2052."""
    page, ring = ring_of(2, 5)
    page[2:5] = b"abc"

    assert ring.read_requests(4096) == b"abc"
    assert indexes_of(page) == (5, 5, 0, 0)
    assert ring.read_requests(4096) == b""


def test_server_looks_at_what_the_guest_wrote_before_it_takes_that() -> None:
    """So that it can note it first."""
    page, ring = ring_of(1022, 1025, 0, 7)
    page[1022:1024], page[0:1] = b"ab", b"c"

    assert ring.look_at_requests(2) == (b"ab", 1024)
    assert ring.look_at_requests(4096) == (b"abc", 1025)
    assert (ring.taken, ring.produced) == (1022, 7)
    ring.taken = 1025
    assert ring.look_at_requests(4096) == (b"", 1025)
    assert indexes_of(page) == (1025, 1025, 0, 7)


def test_server_writes_what_the_guest_reads() -> None:
    """Responses are at byte 1024, their indexes at 2056 and 2060."""
    page, ring = ring_of(0, 0, 7, 7)

    assert ring.write_responses(b"") == 0
    assert page == new_page(0, 0, 7, 7)
    assert ring.write_responses(b"abc") == 3
    assert page[1024 + 7 : 1024 + 10] == b"abc"
    assert indexes_of(page) == (0, 0, 7, 10)


@pytest.mark.parametrize("start", [0, 2**32 - 2])
def test_the_guest_side_mirrors_the_server_side(start: int) -> None:
    """What one side writes the other reads; after 2**32 - 1 comes index 0."""
    page, server = ring_of(*[start] * 4)
    guest = Ring(memoryview(page))

    assert guest.write_requests(b"request") == 7
    assert server.write_responses(b"response") == 8
    assert guest.read_responses(4096) == b"response"
    assert server.read_requests(4096) == b"request"
    moved = (7, 7, 8, 8)
    assert indexes_of(page) == tuple((start + size) % 2**32 for size in moved)


def test_a_full_ring_is_read_whole() -> None:
    """1,024 bytes may wait: that is full, not impossible (XSA-38)."""
    page, ring = ring_of(100, 1124)
    page[0:1024] = bytes(range(256)) * 4

    assert ring.read_requests(4096) == bytes(page[100:1024] + page[0:100])
    assert indexes_of(page)[0] == 1124


@pytest.mark.parametrize(
    ("cons", "prod"), [(0, 1025), (1, 0), (5, 0x80000005), (2**32 - 1, 1024)]
)
def test_impossible_indexes_are_an_error(cons: int, prod: int) -> None:
    """More than 1,024 bytes cannot wait; nothing is taken or written."""
    page, ring = ring_of(cons, prod, cons, prod)
    before = bytes(page)

    for name, use in (
        ("request", partial(ring.read_requests, 4096)),
        ("request", partial(ring.write_requests, b"abc")),
        ("response", partial(ring.write_responses, b"abc")),
        ("response", partial(ring.read_responses, 4096)),
    ):
        with pytest.raises(RingError, match=name) as caught:
            use()
        error = caught.value
        assert (error.ring, error.cons, error.prod) == (name, cons, prod)

    assert page == before


@settings(deadline=None)
@given(indexes=st.tuples(U32, U32, U32, U32), limit=st.integers(-5, 5000))
@example(indexes=(2**32 - 1, 1023, 0, 0), limit=4096)
@example(indexes=(0, 1025, 0, 0), limit=4096)
@example(indexes=(0, 6, 0, 0), limit=4)
@example(indexes=(0, 6, 0, 0), limit=-1)
def test_no_indexes_make_a_read_leave_its_ring(
    indexes: tuple[int, int, int, int], limit: int
) -> None:
    """Any indexes give bytes of the request ring only, or an error."""
    cons, prod = indexes[:2]
    page = new_page(*indexes)
    page[0:1024] = b"q" * 1024
    page[1024:2048] = b"X" * 1024
    before = bytes(page)
    waiting = (prod - cons) % 2**32

    try:
        data = Ring(memoryview(page)).read_requests(limit)
    except RingError:
        assert waiting > 1024
        assert page == before
    else:
        size = max(0, min(waiting, limit))
        assert waiting <= 1024
        assert data == b"q" * size
        assert indexes_of(page) == ((cons + size) % 2**32, *indexes[1:])


@settings(deadline=None)
@given(indexes=st.tuples(U32, U32, U32, U32), size=st.integers(0, 3000))
@example(indexes=(0, 0, 2**32 - 1, 1022), size=3)
@example(indexes=(0, 0, 0, 1025), size=1)
@example(indexes=(0, 0, 3, 3), size=1500)
@example(indexes=(0, 0, 3, 1027), size=1)
def test_no_indexes_make_a_write_leave_its_ring(
    indexes: tuple[int, int, int, int], size: int
) -> None:
    """Any indexes change the response ring and its producer only, or nothing."""
    cons, prod = indexes[2:]
    page = new_page(*indexes)
    before = bytes(page)
    used = (prod - cons) % 2**32

    try:
        accepted = Ring(memoryview(page)).write_responses(b"r" * size)
    except RingError:
        assert used > 1024
        assert page == before
    else:
        assert used + accepted <= 1024
        assert accepted == min(size, 1024 - used)
        assert page[0:1024] == bytes(1024)
        assert page[1024:2048].count(b"r") == accepted
        assert page[2048:2060] == before[2048:2060]
        assert indexes_of(page)[3] == (prod + accepted) % 2**32
        assert page[2064:] == before[2064:]


@settings(deadline=None)
@given(
    stream=st.binary(max_size=5000),
    start=U32 | st.integers(2**32 - 2000, 2**32 - 1),
    sizes=st.lists(st.integers(1, 1500), min_size=1),
)
def test_a_stream_comes_out_as_it_went_in(
    stream: bytes, start: int, sizes: list[int]
) -> None:
    """Wherever the indexes begin and however much is moved at a time."""
    ring = Ring(memoryview(new_page(start, start)))
    received = b""
    sent = 0
    turn = 0
    while len(received) < len(stream):
        size = sizes[turn % len(sizes)]
        sent += ring.write_requests(stream[sent : sent + size])
        received += ring.read_requests(sizes[-1 - turn % len(sizes)])
        turn += 1

    assert received == stream


def test_fields_stand_where_xs_wire_puts_them() -> None:
    """Features at 2064, connection at 2068, error at 2072, port at 2076."""
    page, ring = ring_of()
    ring.server_features = 14
    ring.connection = RECONNECT
    ring.error = ERROR_PROTOCOL
    ring.evtchn_port = 0x01020304

    assert page[2064:2080] == b"\x0e\0\0\0\x01\0\0\0\x03\0\0\0\x04\x03\x02\x01"
    assert page[:2064] + page[2080:] == bytes(2064 + 2016)
    assert (ring.server_features, ring.connection) == (14, RECONNECT)
    assert (ring.error, ring.evtchn_port) == (ERROR_PROTOCOL, 0x01020304)


def test_reset_empties_both_rings_only() -> None:
    """All four indexes become 0; the other fields and the bytes stay."""
    page, ring = ring_of(1, 2, 3, 4)
    page[0:2048] = b"b" * 2048
    page[2064:] = bytes(range(1, 17)) * 127
    before = bytes(page)

    ring.reset()

    assert page == before[:2048] + bytes(16) + before[2064:]


def test_codes_are_those_of_xs_wire() -> None:
    """Connection states and error codes, as numbers."""
    errors = (ERROR_NONE, ERROR_COMMUNICATION, ERROR_RING_INDEX, ERROR_PROTOCOL)

    assert (CONNECTED, RECONNECT) == (0, 1)
    assert errors == (0, 1, 2, 3)


@pytest.mark.parametrize(
    "page",
    [
        memoryview(bytes(4096)),
        memoryview(bytearray(4095)),
        memoryview(bytearray(8192)),
        memoryview(bytearray(8192))[::2],
    ],
    ids=["read only", "too short", "too long", "in pieces"],
)
def test_a_ring_needs_a_writable_page(page: memoryview) -> None:
    """Anything but 4,096 writable bytes in one piece is refused."""
    with pytest.raises(ValueError, match="4096"):
        Ring(page)


def test_a_released_ring_lets_its_page_go() -> None:
    """A mapping can be closed only when no view of it is left."""
    page = new_page()
    with memoryview(page) as view:
        ring = Ring(view)
        ring.release()
    page.append(0)

    assert len(page) == 4097
    with pytest.raises(ValueError, match="released"):
        ring.read_requests(1)


@given(start=U32, sizes=st.tuples(*[st.integers(0, 1024)] * 2))
def test_what_is_on_a_ring_can_be_looked_at(start: int, sizes: tuple[int, int]) -> None:
    """Wherever it begins; nothing of it is taken."""
    _, ring = ring_of(start, start, start, start)
    asked, told = (bytes([n % 251 for n in range(size)]) for size in sizes)
    ring.write_requests(asked)
    ring.write_responses(told)

    assert ring.unread() == ring.unread() == (asked, told)
    assert ring.read_requests(4096) == asked
    assert ring.unread() == (b"", told)


def test_a_ring_with_impossible_indexes_is_not_looked_at() -> None:
    """As it is not read."""
    _, ring = ring_of(0, 0, 0, 1025)

    with pytest.raises(RingError):
        ring.unread()
