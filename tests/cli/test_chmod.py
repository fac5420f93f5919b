"""xsd.cli.chmod: what differs from xenstore-chmod; test_agreement has the rest."""

import pytest

from tests.cli.conftest import Result, Run
from xsd.client import Client


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
    xsd: Run, client: Client, mode: str, shown: bytes
) -> None:
    """A typing error must not give rights to domain 0, or to another."""
    client.mkdir("/t/a")

    assert xsd("chmod", "/t/a", "n5", mode) == Result(
        b"", b"xsd chmod: Invalid permission specification: '" + shown + b"'\n", 1
    )
    assert client.get_permissions("/t/a") == [b"n0"]
