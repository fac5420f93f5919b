"""The pages have one name typed for each way of installing: `xsd`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.docs import pages
from tests.docs.pages import PAGES

OTHERS: Final = re.compile(r"(?:\S*/)?(?:xenstored|xsd-xenstored)|\S*/xsd")
"""Xen's own daemon may answer to the first of these, and only one checkout has
`.venv/bin/xsd`."""

BEGIN: Final = re.compile(r"(?:^|[;&|(\n]+|\bexec|\bsudo)\s*(?:[A-Z_]+=\S+\s+)*(\S+)")


def typed_on(page: Path) -> Iterator[str]:
    """Commands of blocks, and those in the middle of a sentence."""
    for block in pages.blocks_of(page):
        if block.language == "console":
            yield from (command.text for command in pages.commands_of(block))
    for token in pages.tokens_of(page):
        for child in token.children or []:
            if child.type == "code_inline" and " " in child.content:
                yield child.content


def other_names_in(command: str) -> list[str]:
    return [word for word in BEGIN.findall(command) if OTHERS.fullmatch(word)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_other_name_typed(page: Path) -> None:
    """Which daemon another name starts depends on what else is installed."""
    found = [command for command in typed_on(page) if other_names_in(command)]
    assert not found


@pytest.mark.parametrize(
    ("command", "others"),
    [
        ("xsd serve --socket x", []),
        ("docker exec xs xsd health", []),
        ("echo XENSTORED=/opt/xenstored/bin/xenstored >>/etc/default/xen", []),
        ("xenstored -N", ["xenstored"]),
        ("true && XENSTORED_PATH=x xenstored -N", ["xenstored"]),
        ("/usr/sbin/xsd-xenstored --help", ["/usr/sbin/xsd-xenstored"]),
        ("cd x; .venv/bin/xsd ls", [".venv/bin/xsd"]),
    ],
)
def test_other_names_are_found(command: str, others: list[str]) -> None:
    """Where a command begins, and not in what it is given."""
    assert other_names_in(command) == others
