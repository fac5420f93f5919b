r"""xsd.cli.ls: the layout of xenstore-ls."""

import sys
from typing import Self

import pytest

from tests.cli.conftest import Result, Run
from xsd.cli.ls import PERMISSIONS_COLUMN, Layout, line_width, walk
from xsd.client import Client
from xsd.protocol.errors import Errno, XenStoreError


@pytest.fixture
def nodes(client: Client) -> Client:
    """A client of a store with some nodes below /t."""
    client.write("/t/a/b", b"1")
    client.write("/t/c", b'q"\n')
    return client


@pytest.mark.usefixtures("nodes")
def test_names_are_indented_by_depth(xsd: Run) -> None:
    """Parents first, children in the order of making, values escaped."""
    assert xsd("ls", "/t") == Result(b'a = ""\n b = "1"\nc = "q"\\n"\n')


def test_full_prints_whole_paths_and_values(xsd: Run, nodes: Client) -> None:
    """Nothing is cut or aligned."""
    nodes.write("/t/long", b"x" * 100)

    assert xsd("ls", "-f", "/t/a", "/t") == Result(
        b'/t/a/b = "1"\n/t/a = ""\n/t/a/b = "1"\n/t/c = "q"\\n"\n/t/long = "'
        + b"x" * 100
        + b'"\n'
    )


def test_permissions_are_aligned_by_dots(xsd: Run, nodes: Client) -> None:
    """Dots in odd columns up to the 60th; none in full paths."""
    nodes.set_permissions("/t/c", ["n0", "r5"])
    nodes.write("/t/d", b"1")

    assert xsd("ls", "-p", "/t") == Result(
        b'a = ""' + b" ." * 27 + b"  (n0)\n"
        b' b = "1"' + b" ." * 26 + b"  (n0)\n"
        b'c = "q"\\n"' + b" ." * 25 + b"  (n0,r5)\n"
        b'd = "1"  .' + b" ." * 25 + b"  (n0)\n"
    )  # fmt: skip
    assert xsd("ls", "-fp", "/t/a") == Result(b'/t/a/b = "1"   (n0)\n')


@pytest.mark.usefixtures("nodes")
def test_root_is_the_default(xsd: Run) -> None:
    """Its children have one slash."""
    assert b'\n/t/a = ""\n' in xsd("ls", "-f").out
    assert xsd("ls").out == xsd("ls", "/").out


@pytest.mark.usefixtures("nodes")
def test_leaf_prints_nothing(xsd: Run) -> None:
    """Only what is below a node is listed."""
    assert xsd("ls", "/t/c") == Result(b"")


@pytest.mark.usefixtures("nodes")
def test_missing_node_fails(xsd: Run) -> None:
    """With the C library's phrase; what was listed before is printed."""
    assert xsd("ls", "/t/a", "/t/none") == Result(
        b'b = "1"\n',
        b"xsd ls: xs_directory (/t/none): No such file or directory\n",
        1,
    )
    assert xsd("ls", "/t/").err == b"xsd ls: xs_directory (/t/): Invalid argument\n"


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


def test_node_that_vanishes_meanwhile_is_left_out(
    xsd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Domains end at any time; their nodes are no error."""
    gone = RefusingClient(Errno.ENOENT)
    monkeypatch.setattr("xsd.cli.ls.Client", lambda _path: gone)

    assert xsd("ls", "/t") == Result(b"")


def test_node_that_may_not_be_read_is_an_error(
    xsd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not taken for a vanished one."""
    forbidden = RefusingClient(Errno.EACCES)
    monkeypatch.setattr("xsd.cli.ls.Client", lambda _path: forbidden)

    assert xsd("ls", "/t") == Result(b"", b"xsd ls: EACCES: refused: /t/a\n", 1)


def line(width: int | None, depth: int, name: bytes, value: bytes) -> bytes:
    """Return a line without permissions."""
    layout = Layout(width, full=False, permissions=False)
    return layout.line(depth, b"/t/" + name, value)


def test_value_that_does_not_fit_is_cut() -> None:
    r"""Eight columns are kept for ` = "` and `\..."`, with one to spare."""
    assert line(80, 0, b"nn", b"v" * 70) == b'nn = "' + b"v" * 70 + b'"'
    assert line(80, 0, b"nn", b"v" * 71) == b'nn = "' + b"v" * 70 + b'\\..."'
    assert line(80, 3, b"nn", b"v" * 68) == b'   nn = "' + b"v" * 67 + b'\\..."'


def test_length_before_escaping_decides() -> None:
    """A short value is whole even if its escapes make it long."""
    assert line(80, 0, b"nn", b"\1" * 70) == b'nn = "' + rb"\001" * 70 + b'"'
    assert (
        line(80, 0, b"nn", b"\1" * 71) == b'nn = "' + (rb"\001" * 71)[:70] + b'\\..."'
    )


def test_name_that_does_not_fit_is_cut() -> None:
    """Its value is not shown then, unless it is empty."""
    assert line(20, 1, b"n" * 12, b"v") == b" " + b"n" * 11 + b' = "\\..."'
    assert line(20, 1, b"n" * 12, b"") == b" " + b"n" * 11 + b' = ""'


def test_line_without_room_cuts_nothing() -> None:
    """Where indentation or frame alone are too wide, as xenstore-ls does."""
    assert line(5, 0, b"nn", b"val") == b'nn = "val\\..."'
    assert line(10, 4, b"nn", b"val") == b'    nn = "val\\..."'


def test_line_of_any_width_is_whole() -> None:
    """A terminal that does not tell its width sets no limit."""
    assert line(None, 1, b"nn", b"v" * 99) == b' nn = "' + b"v" * 99 + b'"'


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
