"""xsd.cli.ls: the layout of xenstore-ls; test_agreement has the rest."""

import pytest

from tests.cli.conftest import Run
from tests.support.acted import ActedDaemon
from xsd.cli.ls import Layout
from xsd.protocol.ops import Op


@pytest.fixture
def acted(monkeypatch: pytest.MonkeyPatch) -> ActedDaemon:
    """A daemon whose answers the test decides."""
    daemon = ActedDaemon()
    monkeypatch.setattr("xsd.cli.ls.connect", lambda _: daemon.client())
    return daemon


@pytest.mark.parametrize("what", [None, Op.READ, Op.DIRECTORY])
def test_node_that_vanishes_meanwhile_is_left_out(
    xsd: Run, acted: ActedDaemon, what: Op | None
) -> None:
    """Domains end at any time; their nodes are no error."""
    acted.add(["a", "b"])
    if what is None:
        del acted.nodes[b"/t/a"]
    else:
        acted.refused[what, b"/t/a"] = "ENOENT"

    out, err, status = xsd("ls", "-f", "/t")

    # Its value had come before it went.
    assert out == (b'/t/a = "a"\n' if what == Op.DIRECTORY else b"") + b'/t/b = "b"\n'
    assert (err, status) == (b"", 0)


@pytest.mark.parametrize("what", [Op.READ, Op.DIRECTORY])
def test_node_that_may_not_be_read_is_not_taken_for_it(
    xsd: Run, acted: ActedDaemon, what: Op
) -> None:
    """It ends the listing behind what came before it."""
    acted.add(["a", "b"])
    acted.refused[what, b"/t/b"] = "EACCES"

    out, err, status = xsd("ls", "-f", "/t")

    assert out.startswith(b'/t/a = "a"\n')
    assert (err, status) == (
        b"xsd ls: /t/b: no right to read it (see the daemon's log)\n",
        1,
    )


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
