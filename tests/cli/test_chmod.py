"""xsd.cli.chmod: permissions."""

import pytest

from tests.cli.conftest import Result, Run
from xsd.client import Client


@pytest.fixture
def nodes(client: Client) -> Client:
    """A client of a store with /t/a/b/c and /t/x, all of domain 0."""
    client.write("/t/a/b/c", b"")
    client.write("/t/x", b"")
    return client


def permissions(client: Client) -> dict[str, bytes]:
    """Return the permissions of all nodes of `nodes`, joined by commas."""
    paths = ("/t", "/t/a", "/t/a/b", "/t/a/b/c", "/t/x")
    return {path: b",".join(client.get_permissions(path)) for path in paths}


def test_chmod_replaces_the_permissions_of_one_node(xsd: Run, nodes: Client) -> None:
    """The modes are sent in order."""
    assert xsd("chmod", "/t/a", "n0", "r5", "b6", "w7") == Result(b"")

    assert permissions(nodes) == {
        "/t": b"n0",
        "/t/a": b"n0,r5,b6,w7",
        "/t/a/b": b"n0",
        "/t/a/b/c": b"n0",
        "/t/x": b"n0",
    }


def test_recursion_takes_what_is_below(xsd: Run, nodes: Client) -> None:
    """The node itself too."""
    assert xsd("chmod", "-r", "/t/a", "r0") == Result(b"")

    assert permissions(nodes) == {
        "/t": b"n0",
        "/t/a": b"r0",
        "/t/a/b": b"r0",
        "/t/a/b/c": b"r0",
        "/t/x": b"n0",
    }


def test_upto_takes_what_is_above(xsd: Run, nodes: Client) -> None:
    """All but the root."""
    assert xsd("chmod", "-u", "/t/a/b", "r0") == Result(b"")

    assert permissions(nodes) == {
        "/t": b"r0",
        "/t/a": b"r0",
        "/t/a/b": b"r0",
        "/t/a/b/c": b"n0",
        "/t/x": b"n0",
    }
    assert nodes.get_permissions("/") == [b"n0"]


def test_both_directions_at_once(xsd: Run, nodes: Client) -> None:
    """But not the siblings of what is above."""
    assert xsd("chmod", "-u", "-r", "/t/a/b", "r0") == Result(b"")

    assert [path for path, mode in permissions(nodes).items() if mode == b"n0"] == [
        "/t/x"
    ]


@pytest.mark.parametrize("option", [(), ("-r",), ("-u",)])
def test_missing_node_fails(xsd: Run, nodes: Client, option: tuple[str, ...]) -> None:
    """The message has the C library's phrase; nothing is changed."""
    assert xsd("chmod", *option, "/t/none", "r0") == Result(
        b"",
        b"xsd chmod: Error occurred setting permissions on '/t/none':"
        b" No such file or directory\n",
        1,
    )
    assert set(permissions(nodes).values()) == {b"n0"}


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        ("x5", b"x"),
        ("N0", b"N"),
        ("", b""),
        ("r", b"r"),
        ("rx", b"rx"),
        ("r5x", b"r5x"),
        ("r-1", b"r-1"),
        ("n0x10", b"n0x10"),
        ("n0,r5", b"n0,r5"),
        ("r65536", b"r65536"),
    ],
)
def test_what_is_no_permission_is_refused(
    xsd: Run, nodes: Client, mode: str, shown: bytes
) -> None:
    """A typing error must not give rights to domain 0, or to another."""
    assert xsd("chmod", "/t/a", "n0", mode) == Result(
        b"", b"xsd chmod: Invalid permission specification: '" + shown + b"'\n", 1
    )
    assert set(permissions(nodes).values()) == {b"n0"}


def test_chmod_without_modes_is_misuse(xsd: Run) -> None:
    """The usage is shown, and the status is 1."""
    result = xsd("chmod", "/t/a")

    assert result.status == 1
    assert result.err.startswith(b"usage: xsd chmod ")
