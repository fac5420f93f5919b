"""xsd.engine.control_state: a copy is told in pieces, and a domain is given its own."""

from typing import final

import pytest

from tests.engine.lives import World
from tests.engine.script import play
from tests.engine.support import Client, run, take_bytes
from xsd.engine import Engine
from xsd.engine.control_state import BROUGHT_MAX, PIECE, answer
from xsd.engine.copies import Copies
from xsd.engine.image import image
from xsd.protocol.frame import encode_frame
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.ops import Op
from xsd.protocol.records import ConnectionData, WatchData
from xsd.protocol.request import UNLIMITED
from xsd.store import Store

RING = "introduce 6 1 7"
"""A guest with a ring."""


@final
class Noted(Copies):
    """Has one copy, of whoever has asked for it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.begun: list[int] = []
        self.dropped: list[int] = []

    def begin(self, number: int) -> None:
        self.begun.append(number)

    def read(self, number: int, offset: int, size: int) -> bytes:
        assert number in self.begun
        return self.data[offset : offset + size]

    def drop(self, number: int) -> None:
        self.dropped.append(number)


def control(client: Client, *words: bytes) -> bytes:
    payload = b"".join([word + b"\0" for word in (b"state", *words)])
    return client.call(Op.CONTROL, payload)[1]


@pytest.fixture
def copies() -> Noted:
    return Noted(bytes(range(256)) * 20)


@pytest.fixture
def client(copies: Noted) -> Client:
    engine = Engine(Store())
    engine.core.copies = copies
    return Client(engine)


def test_a_copy_is_answered_with_its_size_when_it_is_made(
    client: Client, copies: Noted
) -> None:
    """Not before; nobody asks twice at a time."""
    number = client.connection.id
    client.post(Op.CONTROL, b"state\0copy\0")
    assert copies.begun == [number]
    again = encode_frame(Op.CONTROL, 9, 0, b"state\0copy\0")
    client.engine.feed(client.connection, again)
    run(client.engine)
    refused = encode_frame(Op.ERROR, 9, 0, b"EBUSY\0")
    assert take_bytes(client.engine, client.connection) == refused
    assert copies.begun == [number]

    answer(client.engine.core, number, 5120)

    assert client.take() == [(Op.CONTROL, b"5120\0")]
    answer(client.engine.core, number, 5120)
    assert client.take() == []


def test_a_copy_that_fails_is_a_refusal(client: Client, copies: Noted) -> None:
    """Of the request for it."""
    client.post(Op.CONTROL, b"state\0copy\0")

    answer(client.engine.core, copies.begun[0], -1)

    assert client.take() == [(Op.ERROR, b"EIO\0")]


def test_a_copy_is_read_in_pieces_that_fit_into_an_answer(
    client: Client, copies: Noted
) -> None:
    """Bytes of any kind; a NUL follows them."""
    copies.begun.append(client.connection.id)

    first, second = control(client, b"read", b"0"), control(client, b"read", b"4095")

    assert len(first) == PIECE + 1 == PAYLOAD_MAX
    assert first[:-1] + second[:-1] == copies.data
    assert control(client, b"read", b"5120") == b"EINVAL\0"


def test_a_copy_ends_with_its_connection(client: Client, copies: Noted) -> None:
    """Whether it was made already or not."""
    client.post(Op.CONTROL, b"state\0copy\0")
    copies.dropped.clear()

    client.engine.disconnect(client.connection)
    answer(client.engine.core, client.connection.id, 5120)

    assert copies.dropped == [client.connection.id]


@pytest.mark.parametrize(
    "words",
    [
        (),
        (b"other",),
        (b"copy", b"more"),
        (b"read",),
        (b"read", b"0", b"0"),
        (b"put", b"xyz"),
        (b"watch", b"6", b"-1", b"/a"),
    ],
)
def test_other_words_are_refused(client: Client, words: tuple[bytes, ...]) -> None:
    """EINVAL, as everywhere."""
    assert control(client, *words) == b"EINVAL\0"


@pytest.mark.parametrize(
    "words", [(b"input",), (b"output", b"0"), (b"watch", b"-1", b"/a", b"t")]
)
def test_who_has_no_ring_is_given_nothing(words: tuple[bytes, ...]) -> None:
    """ENOENT; that it is on a socket does not help."""
    engine = Engine(Store())
    client = Client(engine)
    Client(engine, 6)

    assert control(client, words[0], b"6", *words[1:]) == b"ENOENT\0"


def test_a_watch_that_is_brought_is_told_nothing_until_something_changes() -> None:
    """As the guest has given it, relative or not, with its depth."""
    world = World(RING)
    client = Client(world.engine)

    assert control(client, b"watch", b"6", b"-1", b"data/x", b"t") == b"OK\0"
    assert control(client, b"watch", b"6", b"1", b"/a", b"u") == b"OK\0"
    assert control(client, b"watch", b"6", b"1", b"/a", b"u") == b"EEXIST\0"

    guest = world.client("6")
    assert guest.take() == []
    play(world.engine, "node /local/domain/6 n6; node /a n6; write /a/b/c v")
    assert guest.take() == [(Op.WATCH_EVENT, b"/a\0u\0")]
    play(world.engine, "write /local/domain/6/data/x v")
    assert guest.take() == [(Op.WATCH_EVENT, b"data/x\0t\0")]
    watches = [each for each in image(world.engine) if isinstance(each, WatchData)]
    assert [(each.path, each.depth) for each in watches] == [
        (b"data/x", UNLIMITED),
        (b"/a", 1),
    ]


def test_a_watch_that_is_brought_is_an_input() -> None:
    """It is there again when the inputs are carried out once more."""
    world = World(RING)
    client = Client(world.engine)

    control(client, b"watch", b"6", b"-1", b"data/x", b"t")

    assert world.is_as(world.tape.inputs)
    assert not world.is_as(world.tape.inputs[:-1])


def test_what_is_brought_of_a_ring_goes_on_there() -> None:
    """Half a request is completed, and half a reply ends before anything else."""
    world = World(RING)
    client = Client(world.engine)
    guest = world.client("6")
    request = encode_frame(Op.WRITE, 3, 0, b"data/x\0" + bytes(3000))
    reply = encode_frame(Op.READ, 2, 0, bytes(4000))

    for at in range(0, 1000, 500):
        control(client, b"put", request[at : at + 500].hex().encode())
    assert control(client, b"input", b"6") == b"OK\0"
    assert control(client, b"input", b"6") == b"EBUSY\0"
    for at in range(100, len(reply), 1500):
        control(client, b"put", reply[at : at + 1500].hex().encode())
    assert control(client, b"output", b"6", b"%d" % (len(reply) - 100)) == b"OK\0"

    links = [
        each for each in image(world.engine, {}) if isinstance(each, ConnectionData)
    ]
    (link,) = [each for each in links if each.domid == 6]
    assert link.pending == request[:1000]
    assert (link.unsent, link.begun) == (reply[100:], len(reply) - 100)
    world.engine.feed(guest.connection, request[1000:])
    run(world.engine)
    sent = take_bytes(world.engine, guest.connection)
    assert sent == reply[100:] + encode_frame(Op.ERROR, 3, 0, b"EACCES\0")


def test_what_is_no_whole_message_is_not_sent() -> None:
    """Nor is anything then."""
    world = World(RING)
    client = Client(world.engine)
    control(client, b"put", b"00" * 15)

    assert control(client, b"output", b"6", b"0") == b"EINVAL\0"
    assert control(client, b"output", b"6", b"0") == b"OK\0"


def test_a_client_brings_so_much_and_no_more() -> None:
    """However long it goes on; what it has brought stays."""
    engine = Engine(Store())
    client = Client(engine)
    piece = b"00" * 2000
    most = BROUGHT_MAX // 2000
    for _ in range(most):
        control(client, b"put", piece)
    kept = engine.core.brought[client.connection.id]
    assert len(kept) == most * 2000

    for _ in range(3):
        assert control(client, b"put", piece) == b"E2BIG\0"

    assert engine.core.brought[client.connection.id] is kept
