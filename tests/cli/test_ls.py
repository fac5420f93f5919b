r"""xsd.cli.ls: the layout of xenstore-ls."""

import sys
from collections.abc import Mapping
from typing import Self

import pytest

from tests.cli.conftest import Follow, Result, Run
from xsd.cli.ls import PERMISSIONS_COLUMN, Layout, line_width, walk
from xsd.client import Client
from xsd.protocol.errors import Errno, XenStoreError

RULES: Mapping[str, str] = {
    "parents come first, children in the order of making, values escaped": r"""
        $ write /t/a '' /t/a/b 1 /t/c 'q"\n'
        $ ls /t
        a = ""
         b = "1"
        c = "q"\n"
    """,
    "permissions are aligned by dots in odd columns up to the 60th": rf"""
        $ write /t/a/b 1 /t/c 'q"\n' /t/d 1
        $ chmod /t/c n0 r5
        $ ls -p /t
        a = ""{" ." * 27}  (n0)
         b = "1"{" ." * 26}  (n0)
        c = "q"\n"{" ." * 25}  (n0,r5)
        d = "1"  .{" ." * 25}  (n0)
    """,
}


@pytest.mark.parametrize("transcript", RULES.values(), ids=RULES)
@pytest.mark.usefixtures("client")
def test_nodes_are_listed_as_the_transcript_says(
    follow: Follow, transcript: str
) -> None:
    """On a store without /t."""
    follow(transcript)


def test_deep_trees_are_walked(client: Client) -> None:
    """Depth is no matter of Python's stack."""
    client.write("/t" + "/x" * 1000, b"")

    depths = [depth for depth, _ in walk(client, b"/t")]

    assert depths == list(range(1000))


class RefusingClient:
    """A client that lists `/t/a` in `/t` and then gets one refusal after another."""

    def __init__(self, errno: Errno) -> None:
        self.errno = errno

    def directory(self, path: bytes) -> list[bytes]:
        """List /t and refuse the rest."""
        if path == b"/t":
            return [b"a"]
        raise XenStoreError(self.errno, "refused", path)

    def read(self, path: bytes) -> bytes:
        """Refuse."""
        raise XenStoreError(self.errno, "refused", path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


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
    client = RefusingClient(errno)
    monkeypatch.setattr("xsd.cli.ls.Client", lambda _path: client)

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


@pytest.mark.parametrize("width", [80, 40])
def test_dots_end_before_the_permissions(width: int) -> None:
    """At the 60th column, or at the end of a narrower line."""
    layout = Layout(width, full=False, permissions=True)

    shown = layout.line(0, b"/t/nn", b"v")

    assert len(shown) == min(PERMISSIONS_COLUMN, width)
    assert shown.startswith(b'nn = "v" . . .')


def test_output_to_a_file_is_80_columns_wide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same everywhere, so that scripts can rely on it."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)

    assert line_width() == 80
