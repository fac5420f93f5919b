"""XSA-72: a reply that would be longer than a payload may be."""

from typing import Final

import pytest

from tests.support.hosts import AnyHost
from tests.xsa.support import refusal_of
from xsd.client import Client
from xsd.protocol.errors import Errno
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.ops import Op

NAMES: Final = [b"child%05d" % number for number in range(600)]
"""Of 10 bytes each, 6,600 as DIRECTORY would list them."""


@pytest.fixture(params=["guest", "dom0"])
def client(request: pytest.FixtureRequest, anywhere: AnyHost) -> Client:
    """A guest, or a privileged client: on a ring and a socket, or in process."""
    return anywhere.guest(1) if request.param == "guest" else anywhere.client()


def make_wide(anywhere: AnyHost, names: list[bytes]) -> None:
    """Make a directory that all may list."""
    anywhere.dom0.mkdir("/wide")
    anywhere.dom0.set_permissions("/wide", ["n0", "r1"])
    for name in names:
        anywhere.dom0.mkdir(b"/wide/" + name)


def test_a_directory_too_long_for_a_reply_is_e2big(
    anywhere: AnyHost, client: Client
) -> None:
    """DIRECTORY_PART has all of it, and other requests are answered as before."""
    make_wide(anywhere, NAMES)

    for _ in range(3):
        assert refusal_of(client.request, Op.DIRECTORY, b"/wide\0") == Errno.E2BIG
        assert client.read("/wide") == b""
    assert client.directory("/wide") == NAMES


def test_a_directory_that_just_fits_is_listed(
    anywhere: AnyHost, client: Client
) -> None:
    """4,096 bytes are a payload, one more name is E2BIG."""
    names = [b"%0127d" % number for number in range(PAYLOAD_MAX // 128)]
    make_wide(anywhere, names)

    listing = client.request(Op.DIRECTORY, b"/wide\0")
    assert len(listing) == PAYLOAD_MAX
    assert listing.split(b"\0")[:-1] == names
    anywhere.dom0.mkdir("/wide/x")
    assert refusal_of(client.request, Op.DIRECTORY, b"/wide\0") == Errno.E2BIG
    assert client.directory("/wide") == [*names, b"x"]


def test_permissions_that_are_longer_than_they_were_sent_are_e2big(
    anywhere: AnyHost, client: Client
) -> None:
    """Hexadecimal numbers are told as decimal ones, which have more digits."""
    anywhere.dom0.mkdir("/shared")
    anywhere.dom0.set_permissions("/shared", ["r0", *["r0x80000000"] * 330])

    assert refusal_of(client.get_permissions, "/shared") == Errno.E2BIG
    assert client.read("/shared") == b""


def test_the_longest_value_is_read_back(anywhere: AnyHost) -> None:
    """A request that fits has a reply that fits."""
    value = b"v" * (PAYLOAD_MAX - len(b"/v\0"))
    anywhere.dom0.write("/v", value)
    anywhere.dom0.set_permissions("/v", ["r0"])

    assert anywhere.guest(1).read("/v") == value
