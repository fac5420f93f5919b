"""What makes the site of the pages readable, as far as it can be seen without it."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from markdown_it.token import Token

from tests.docs import site
from tests.docs.pages import PAGES, ROOT, tokens_of

CELLS_MAX: Final = 108
"""Most characters that a row of a table needs: what fits into 1,280 px."""

CELL_FRAME: Final = 3
"""Characters that the frame around a cell has the room of."""


class Table(NamedTuple):
    where: str
    rows: list[list[Token]]


def tables_of(page: Path) -> Iterator[Table]:
    rows: list[list[Token]] = []
    for token in tokens_of(page):
        if token.type == "table_open":
            rows = []
            line = token.map[0] + 1 if token.map else 0
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append(token)
        elif token.type == "table_close":
            yield Table(f"{page.relative_to(ROOT)}:{line}", rows)
            rows = []


def width_of(cell: Token) -> int:
    """The longest of what is not broken: a word, or all of a value."""
    longest = size = 0
    for child in cell.children or []:
        if child.type == "code_inline":
            size += len(child.content)
        elif child.type == "softbreak":
            size = 0
        else:
            first, *others = child.content.split(" ")
            size += len(first)
            for word in others:
                longest, size = max(longest, size), len(word)
        longest = max(longest, size)
    return longest


def needed_by(table: Table) -> int:
    columns = zip_longest(*([width_of(cell) for cell in row] for row in table.rows))
    return sum(max(filter(None, column), default=0) + CELL_FRAME for column in columns)


TABLES: Final = [table for page in PAGES for table in tables_of(page)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.where)
def test_a_table_fits_into_a_window(table: Table) -> None:
    """Whatever words are broken; an option or a value is not."""
    assert needed_by(table) <= CELLS_MAX


def test_the_site_leaves_quotes_alone_and_has_its_own_style() -> None:
    """What a page shows is typed, and what is wide is wrapped."""
    settings: dict[str, object] = {}
    exec((ROOT / "docs" / "conf.py").read_text(), settings)  # noqa: S102
    assert settings["smartquotes"] is False
    assert settings["html_css_files"] == ["site.css"]
    style = (ROOT / "docs" / "_static" / "site.css").read_text()
    assert "white-space: pre-wrap" in style


def test_curly_quotes_are_found(tmp_path: Path) -> None:
    """In any page of a site; and a site that is not there is no good one."""
    with pytest.raises(AssertionError, match="there is no site"):
        site.quotes_stay(tmp_path)
    (tmp_path / "a.html").write_text('one of "auto"')
    assert site.quotes_stay(tmp_path) == "in 1 pages"
    (tmp_path / "b.html").write_text("one of \u201cauto\u201d")
    with pytest.raises(AssertionError, match=r"b\.html"):
        site.quotes_stay(tmp_path)
