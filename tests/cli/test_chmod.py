"""xsd.cli.chmod: what differs from xenstore-chmod; test_agreement has the rest."""

import pytest

from tests.cli.conftest import Result, Run
from xsd.client import Client


@pytest.mark.parametrize(
    "mode",
    ["x5", "N0", "", "r", "rx", "r5x", "r-1", "n0x10", "n0,r5", "r65536"],
)
def test_what_is_no_permission_is_refused(
    called: Run, client: Client, mode: str
) -> None:
    """A typing error must not give rights to domain 0, or to another.

    What one looks like is said, and under the original's name what that says.
    """
    client.mkdir("/t/a")
    shown = mode if mode[:1] in ("n", "r") else mode[:1]
    reason = (
        f"xsd chmod: '{mode}' is no permission, which is a letter of n, r, w and b and"
        " a domain id up to 65535, as r5\n"
    )
    original = f"xenstore-chmod: Invalid permission specification: '{shown}'\n"

    for name, said in (("xsd", reason), ("xenstore-chmod", original)):
        words = ["chmod"] if name == "xsd" else []
        expected = Result(b"", said.encode(), 1)
        assert called(name, *words, "/t/a", "n5", mode) == expected
    assert client.get_permissions("/t/a") == [b"n0"]
