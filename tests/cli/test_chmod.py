"""xsd.cli.chmod: permissions."""

import pytest

from tests.cli.conftest import Result, Run
from xsd.client import Client

PATHS = ("/t", "/t/a", "/t/a/b", "/t/a/b/c", "/t/x")


@pytest.fixture
def nodes(client: Client) -> Client:
    """A client of a store with /t/a/b/c and /t/x, all of domain 0."""
    client.write("/t/a/b/c", b"")
    client.write("/t/x", b"")
    return client


def changed(client: Client) -> dict[str, bytes]:
    """Return the permissions that are others than at first, joined by commas."""
    found = {path: b",".join(client.get_permissions(path)) for path in ("/", *PATHS)}
    return {path: mode for path, mode in found.items() if mode != b"n0"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(
            "/t/a n0 r5 b6 w7",
            {"/t/a": b"n0,r5,b6,w7"},
            id="the modes of one node are replaced, in their order",
        ),
        pytest.param(
            "-r /t/a r0",
            dict.fromkeys(PATHS[1:4], b"r0"),
            id="recursion takes the node and what is below",
        ),
        pytest.param(
            "-u /t/a/b r0",
            dict.fromkeys(PATHS[:3], b"r0"),
            id="upto takes the node and what is above, but not the root",
        ),
        pytest.param(
            "-u -r /t/a/b r0",
            dict.fromkeys(PATHS[:4], b"r0"),
            id="both take no siblings of what is above",
        ),
    ],
)
def test_chmod_sets_permissions(
    xsd: Run, nodes: Client, words: str, expected: dict[str, bytes]
) -> None:
    """Of these nodes and of no others; nothing is printed."""
    assert xsd("chmod", *words.split()) == Result(b"")

    assert changed(nodes) == expected


@pytest.mark.parametrize("option", [(), ("-r",), ("-u",)])
def test_missing_node_fails(xsd: Run, nodes: Client, option: tuple[str, ...]) -> None:
    """The message has the C library's phrase; nothing is changed."""
    assert xsd("chmod", *option, "/t/none", "r0") == Result(
        b"",
        b"xsd chmod: Error occurred setting permissions on '/t/none':"
        b" No such file or directory\n",
        1,
    )
    assert changed(nodes) == {}


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        ("x5", b"x"),
        ("N0", b"N"),
        ("", b""),
        *(
            (mode, mode.encode())
            for mode in ("r", "rx", "r5x", "r-1", "n0x10", "n0,r5", "r65536")
        ),
    ],
)
def test_what_is_no_permission_is_refused(
    xsd: Run, nodes: Client, mode: str, shown: bytes
) -> None:
    """A typing error must not give rights to domain 0, or to another."""
    assert xsd("chmod", "/t/a", "n0", mode) == Result(
        b"", b"xsd chmod: Invalid permission specification: '" + shown + b"'\n", 1
    )
    assert changed(nodes) == {}


def test_chmod_without_modes_is_misuse(xsd: Run) -> None:
    """The usage is shown, and the status is 1."""
    result = xsd("chmod", "/t/a")

    assert result.status == 1
    assert result.err.startswith(b"usage: xsd chmod ")
