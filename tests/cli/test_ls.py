"""xsd.cli.ls: the layout of xenstore-ls; test_agreement has the rest."""

import pytest

from tests.cli.conftest import Result, Run
from xsd.cli.ls import Layout, walk
from xsd.client import Client
from xsd.protocol.errors import Errno, XenStoreError


def test_deep_trees_are_walked(client: Client) -> None:
    """Depth is no matter of Python's stack."""
    client.write("/t" + "/x" * 1000, b"")

    depths = [depth for depth, _ in walk(client, b"/t")]

    assert depths == list(range(1000))


@pytest.mark.parametrize(
    ("errno", "result"),
    [
        # Domains end at any time; their nodes are no error.
        (Errno.ENOENT, Result(b"")),
        (Errno.EACCES, Result(b"", b"xsd ls: EACCES: refused: /t/a\n", 1)),
    ],
)
def test_node_that_vanishes_meanwhile_is_left_out(
    xsd: Run, monkeypatch: pytest.MonkeyPatch, errno: Errno, result: Result
) -> None:
    """One that may not be read is not taken for it."""

    def refuse(_client: Client, path: bytes) -> list[bytes]:
        if path == b"/t":
            return [b"a"]
        raise XenStoreError(errno, "refused", path)

    for what in ("read", "directory"):
        monkeypatch.setattr(Client, what, refuse)

    assert xsd("ls", "/t") == result


Line = tuple[int | None, int, bytes, bytes, bytes]

LINES: dict[str, list[Line]] = {
    # Eight columns are kept for ` = "` and `\..."`, with one to spare.
    "a value that does not fit is cut": [
        (80, 0, b"nn", b"v" * 70, b'nn = "' + b"v" * 70 + b'"'),
        (80, 0, b"nn", b"v" * 71, b'nn = "' + b"v" * 70 + b'\\..."'),
        (80, 3, b"nn", b"v" * 68, b'   nn = "' + b"v" * 67 + b'\\..."'),
    ],
    "the length before escaping decides": [
        (80, 0, b"nn", b"\1" * 70, b'nn = "' + rb"\001" * 70 + b'"'),
        (80, 0, b"nn", b"\1" * 71, b'nn = "' + (rb"\001" * 71)[:70] + b'\\..."'),
    ],
    "a name that does not fit is cut; only an empty value is shown then": [
        (20, 1, b"n" * 12, b"v", b" " + b"n" * 11 + b' = "\\..."'),
        (20, 1, b"n" * 12, b"", b" " + b"n" * 11 + b' = ""'),
    ],
    # Where indentation or frame alone are too wide, as xenstore-ls does.
    "a line without room cuts nothing": [
        (5, 0, b"nn", b"val", b'nn = "val\\..."'),
        (10, 4, b"nn", b"val", b'    nn = "val\\..."'),
    ],
    "a terminal that does not tell its width sets no limit": [
        (None, 1, b"nn", b"v" * 99, b' nn = "' + b"v" * 99 + b'"'),
    ],
}


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
def test_lines_are_cut_as_by_xenstore_ls(lines: list[Line]) -> None:
    """By width, depth, name and value."""
    for width, depth, name, value, shown in lines:
        layout = Layout(width, full=False, permissions=False)

        assert layout.line(depth, b"/t/" + name, value) == shown
