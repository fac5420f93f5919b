"""The pages of the documentation, taken apart into what can be checked."""

# A block of commands is a fence of `console`: lines after `$ ` are run, lines after
# `> ` continue them, the others are what is printed; `...` stands for whatever varies.
# A comment before a block says what is to be done with it:
#
#     <!-- with a daemon -->             one runs while the page is, at XENSTORED_PATH;
#                                        `with a daemon: xs/socket` says where
#     <!-- in another terminal: NAME --> its last command goes on until the page ends
#     <!-- seen there: NAME -->          what that command prints next
#     <!-- fields seen there: NAME -->   the next paragraph has `name=value`s, each of
#                                        which stands in what was seen there last
#     <!-- file: NAME -->                the text of a file, written as the page goes on
#     <!-- excerpt: PATH -->             stands so in a file of the repository
#     <!-- needs WHAT: make TARGET -->   is run by that target, see `NEEDS`

import re
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
"""Pages whose blocks are run."""

TEXTS: Final = [
    *PAGES,
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "benchmarks").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
"""Pages whose links are followed."""

TEXT: Final = "text"
"""Language of a fence that holds no commands and nothing to be run."""

FIELDS: Final = "fields"
"""Language of a paragraph that names fields of a line of the log."""

NEEDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "a dom0": ("test-xen", ("tests/xen",)),
    "a container engine": (
        "test-container",
        ("tests/container", "tests/support/containers.py", "xsd/daemon/options.py"),
    ),
    "root and systemd": ("test-systemd", ("tests/systemd", "systemd")),
    "root and Debian's tools": ("test-deb", ("tests/packages", "packages", "Makefile")),
    "a fresh Debian": ("test-newcomer", ("tests/newcomer", "Makefile")),
    "a compiled build": ("bench", ("benchmarks", "Makefile")),
    "minutes": ("test", ("Makefile",)),
}
"""What a block may need -> the target that runs such things, and its programs."""

_COMMENT: Final = re.compile(r"\A\s*<!--\s*(.*?)\s*-->\s*\Z", re.DOTALL)
_SLUG: Final = re.compile(r"[^\w\- ]")


class Block(NamedTuple):
    """A fence of a page."""

    page: Path
    line: int
    language: str
    text: str
    note: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_directive(self) -> bool:
        return self.language.startswith("{")

    @property
    def is_needy(self) -> bool:
        return self.note.startswith("needs ")

    def noted(self, what: str) -> str | None:
        """What stands behind the colon of a note of this kind; None for others."""
        kind, _, rest = self.note.partition(":")
        return rest.strip() if kind.strip() == what else None


class Command(NamedTuple):
    text: str
    printed: str


def tokens_of(page: Path) -> list[Token]:
    markdown = MarkdownIt("commonmark").enable("table")
    return markdown.parse(page.read_text(encoding="utf-8"))


def blocks_of(page: Path) -> list[Block]:
    """The fences of a page, and what is indented like one, in their order."""
    found: list[Block] = []
    note = ""
    for token in tokens_of(page):
        line = token.map[0] + 1 if token.map else 0
        if token.type in {"fence", "code_block"}:
            found.append(Block(page, line, token.info.strip(), token.content, note))
        elif token.type == "inline" and note.startswith(f"{FIELDS} "):
            codes = [each.content for each in token.children or [] if is_field(each)]
            found.append(Block(page, line, FIELDS, "\n".join(codes), note))
        elif token.type == "paragraph_open":
            continue
        comment = _COMMENT.match(token.content) if token.type == "html_block" else None
        note = comment[1] if comment else ""
    return found


def is_field(token: Token) -> bool:
    return token.type == "code_inline" and "=" in token.content


def commands_of(block: Block) -> list[Command]:
    """Take a block of commands apart."""
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:], ""))
        elif not found:
            raise ValueError(f"{block.where}: no command before: {line}")
        elif line.startswith("> ") and not found[-1].printed:
            found[-1] = Command(f"{found[-1].text}\n{line[2:]}", "")
        else:
            found[-1] = Command(found[-1].text, f"{found[-1].printed}{line}\n")
    return found


def links_of(page: Path) -> list[str]:
    found = []
    for token in tokens_of(page):
        for child in token.children or []:
            target = child.attrGet("href") or child.attrGet("src")
            if isinstance(target, str):
                found.append(target)
    return found


def broken_links_of(page: Path, root: Path) -> list[str]:
    """Those that lead to no file below a directory, or to no heading of it."""
    broken = []
    for link in links_of(page):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        inside = target.is_file() and target.is_relative_to(root)
        if not inside or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    return broken


def anchors_of(page: Path) -> set[str]:
    tokens = tokens_of(page)
    titles = [
        "".join(child.content for child in inline.children or [])
        for opening, inline in pairwise(tokens)
        if opening.type == "heading_open"
    ]
    return {_SLUG.sub("", title.lower()).replace(" ", "-") for title in titles}
