"""Links between the pages and to the files of the repository hold."""

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, TEXTS, anchors_of, links_of

DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """To a file that there is, and to a heading that it has."""
    broken = []
    for link in links_of(page):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        inside = target.is_file() and target.is_relative_to(ROOT)
        if not inside or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert not broken


def test_every_page_is_linked_from_the_index() -> None:
    """Who reads the repository and not the site finds them all as well."""
    linked = {
        (DOCS / link.partition("#")[0]).resolve()
        for link in links_of(DOCS / "index.md")
    }
    found = {page for page in PAGES if page.parent == DOCS} - {DOCS / "index.md"}
    assert found - linked == set()
