"""Links between the pages and to the files of the repository hold."""

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, TEXTS, broken_links_of, links_of

DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """To a file that there is, and to a heading that it has."""
    assert broken_links_of(page, ROOT) == []


def test_every_page_is_linked_from_the_index() -> None:
    """Who reads the repository and not the site finds them all as well."""
    linked = {
        (DOCS / link.partition("#")[0]).resolve()
        for link in links_of(DOCS / "index.md")
    }
    found = {page for page in PAGES if page.parent == DOCS} - {DOCS / "index.md"}
    assert found - linked == set()
