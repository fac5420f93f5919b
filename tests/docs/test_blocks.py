"""What the pages say can be typed is typed, and prints what they say."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.follow import follow
from tests.docs.pages import NEEDS, PAGES, ROOT, TEXT, Block, Command
from tests.docs.terminal import Terminal, environment_of, pattern_of, prepare
from tests.support.daemons import start_xsd
from tests.support.processes import wait_until

ALL = [block for page in PAGES for block in pages.blocks_of(page)]
KNOWN = {"with a daemon", "in another terminal", "seen there", "file", "excerpt"}


def need_of(block: Block) -> str | None:
    """What a block needs that is not here, or None."""
    return block.note.removeprefix("needs ") if is_needy(block) else None


def is_needy(block: Block) -> bool:
    return block.note.startswith("needs ")


def sources_of(places: tuple[str, ...]) -> str:
    found = [ROOT / place for place in places]
    files = [path for path in found if path.is_file()]
    for directory in found:
        files += [path for path in directory.rglob("*") if path.is_file()]
    return "\n".join(path.read_text("utf-8", "replace") for path in files)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory whose path leaves room for that of a socket."""
    directory = Path(tempfile.mkdtemp(prefix="xs"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_can_be_typed(page: Path, scratch: Path) -> None:
    """All its blocks in their order, in one directory and one shell."""
    blocks = [block for block in pages.blocks_of(page) if not is_needy(block)]
    prepare(scratch, "\n".join(block.text for block in blocks))
    environ = environment_of(scratch)
    with contextlib.ExitStack() as held:
        for block in blocks:
            path = block.noted("with a daemon")
            if path is not None:
                directory = scratch / Path(path or "socket").parent
                directory.mkdir(exist_ok=True)
                daemon = held.enter_context(start_xsd(directory))
                environ["XENSTORED_PATH"] = str(daemon.socket)
        terminals = {}
        for block in blocks:
            for name in (block.noted("in another terminal"), ""):
                if name is not None and name not in terminals:
                    terminals[name] = held.enter_context(Terminal(scratch, environ))
        for block in blocks:
            follow(block, scratch, terminals)


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.where)
def test_no_block_is_passed_over(block: Block) -> None:
    """Each is run, is written down, stands somewhere else, or is no more than text."""
    assert fault_of(block) == ""


def fault_of(block: Block) -> str:
    """Why a block would be passed over, or nothing."""
    noted = block.note.partition(":")[0].strip()
    if block.is_directive:
        return ""
    if not block.language:
        return "indented, or a fence without a language"
    if noted and noted not in KNOWN and not is_needy(block):
        return f"unknown: {block.note}"
    if block.language == "console":
        return "" if pages.commands_of(block) else "no command"
    if block.language == TEXT:
        commands = [line for line in block.text.splitlines() if line.startswith("$ ")]
        return (
            "commands in a text" if commands or noted not in {"", "seen there"} else ""
        )
    is_used = block.language == "python" or noted in {"file", "excerpt"}
    return "" if is_used else f"nothing is done with {block.language}"


@pytest.mark.parametrize(
    ("language", "text", "note", "fault"),
    [
        ("console", "$ true\n", "", ""),
        ("python", "pass\n", "", ""),
        ("toml", "[log]\n", "file: xsd.toml", ""),
        ("{toctree}", "x\n", "", ""),
        ("", "xsd ls\n", "", "indented, or a fence without a language"),
        ("console", "", "", "no command"),
        ("console", "$ true\n", "skip this", "unknown: skip this"),
        ("text", "$ true\n", "", "commands in a text"),
        ("sh", "true\n", "", "nothing is done with sh"),
    ],
)
def test_what_would_be_passed_over_is_found(
    language: str, text: str, note: str, fault: str
) -> None:
    """Else a page could say what nobody has tried."""
    assert fault_of(Block(PAGES[0], 1, language, text, note)) == fault


@pytest.mark.parametrize(
    "block", [block for block in ALL if is_needy(block)], ids=lambda block: block.where
)
def test_what_cannot_be_run_here_is_run_by_a_target(block: Block) -> None:
    """By one that there is, whose programs know each option and name of the block."""
    assert unknown_of(block) == ""


def unknown_of(block: Block) -> str:
    """What is not known of a block that is not run here, or nothing."""
    need, _, target = (need_of(block) or "").partition(": ")
    if need not in NEEDS:
        return f"need: {need}"
    usual, places = NEEDS[need]
    name = target.removeprefix("make ")
    if f"\n{name}:" not in (ROOT / "Makefile").read_text():
        return f"target: {target}"
    if name != usual and need != "minutes":
        return f"target of {need}: {target}"
    known = sources_of(places)
    if f'ROOT / "docs" / "{block.page.name}"' in known:
        return ""  # those programs type the page as it stands
    words = [telling_words(each.text) for each in pages.commands_of(block)]
    return " ".join(
        word
        for word in sorted(set().union(*words))
        if word not in known and f'"{word.lstrip("-")}"' not in known
    )


@pytest.mark.parametrize(
    ("text", "note", "unknown"),
    [
        ("$ make soak\n", "needs minutes: make soak", ""),
        ("$ make nothing\n", "needs minutes: make test", "\nnothing:"),
        ("$ true\n", "needs time: make test", "need: time"),
        ("$ true\n", "needs minutes: make nothing", "target: make nothing"),
        (
            "$ true\n",
            "needs root and systemd: make soak",
            "target of root and systemd: make soak",
        ),
        (
            "$ docker run --read-only --no-such-option xsd\n",
            "needs a container engine: make test-container",
            "--no-such-option",
        ),
    ],
)
def test_what_no_target_knows_is_found(text: str, note: str, unknown: str) -> None:
    """An option that was never given, a target that is not there."""
    assert unknown_of(Block(PAGES[0], 1, "console", text, note)) == unknown


def telling_words(command: str) -> set[str]:
    """Options without values, targets, and what a command is about."""
    found = set()
    for word in command.replace("\\\n", " ").split():
        plain = word.strip("\"'();&|")
        if plain.startswith("--"):
            found.add(plain.partition("=")[0])
        elif plain.endswith((".service", ".socket", ".conf", ".default")):
            found.add(plain.rpartition("/")[2])
        elif plain in {"build", "run", "exec", "enable", "daemon-reload", "systemctl"}:
            found.add(plain)
    if command.startswith("make "):
        found.add(f"\n{command.split()[1]}:")
    return found


@pytest.mark.parametrize(
    "block",
    [
        block
        for page in PAGES
        for block in pages.blocks_of(page)
        if block.noted("excerpt") is not None
    ],
    ids=lambda block: block.where,
)
def test_an_excerpt_stands_where_it_is_from(block: Block) -> None:
    """Line by line, indented otherwise maybe."""
    source = (ROOT / (block.noted("excerpt") or "")).read_text()
    lines = [line.strip() for line in source.splitlines()]
    wanted = [line.strip() for line in block.text.splitlines()]

    assert any(
        lines[start : start + len(wanted)] == wanted for start in range(len(lines))
    )


# What these tests rest on.


def test_commands_are_told_from_what_they_print(tmp_path: Path) -> None:
    """With their further lines."""
    block = Block(tmp_path, 1, "console", "$ a \\\n> b\nx\n> y\n$ c\n", "")

    assert pages.commands_of(block) == [
        Command("a \\\nb", "x\n> y\n"),
        Command("c", ""),
    ]


def test_a_block_begins_with_a_command() -> None:
    """Else it is no block of commands."""
    with pytest.raises(ValueError, match="no command before: x"):
        pages.commands_of(Block(PAGES[0], 1, "console", "x\n$ a\n", ""))


def test_blocks_have_the_notes_before_them(tmp_path: Path) -> None:
    """Only if nothing stands between; what is indented is a block as well."""
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- file: a -->\n```toml\nx\n```\n\n<!-- b -->\nwords\n\n"
        "```console\n$ y\n```\n\ntext\n\n    z\n"
    )

    found = [(each.language, each.text, each.note) for each in pages.blocks_of(page)]
    assert found == [
        ("toml", "x\n", "file: a"),
        ("console", "$ y\n", ""),
        ("", "z\n", ""),
    ]


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("a\n", "a\n", True),
        ("a\nb\n", "a\n", False),
        ("a\n", "a\nb\n", False),
        ("pid=17 x\n", "pid=... x\n", True),
        ("pid=17\nx\n", "pid=...x\n", False),
        ("a\nb\nc\n", "a\n...\nc\n", True),
        ("a\nc\n", "a\n...\nc\n", True),
        ("a\nb\nd\n", "a\n...\nc\n", False),
        ("axb\n", "a.b\n", False),
        ("", "...\n", True),
    ],
)
def test_three_points_stand_for_what_varies(
    printed: str, expected: str, same: bool
) -> None:
    """In a line, or as a line for any number of them; nothing else is a pattern."""
    assert bool(pattern_of(expected).fullmatch(printed)) is same


def test_a_terminal_tells_output_and_status(scratch: Path) -> None:
    """Of each command, in one shell."""
    with Terminal(scratch, environment_of(scratch)) as terminal:
        assert terminal.run("x=5; printf abc") == ("abc\n", 0)
        assert terminal.run("echo $x; echo y >&2; (exit 3)") == ("5\ny\n", 3)
        assert terminal.run("true") == ("", 0)


def test_what_a_terminal_has_started_ends_with_it(scratch: Path) -> None:
    """Also what goes on in it."""
    with Terminal(scratch, environment_of(scratch)) as terminal:
        terminal.leave("echo $$ >shell; echo begun; sleep 1000", "begun\n")
        group = int((scratch / "shell").read_text())
        assert running(group)

    wait_until(lambda: not running(group), "something goes on")


def running(group: int) -> list[str]:
    """The processes of a group, without those that only wait to be reaped."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, _, its_group, *_ = path.read_text().rpartition(")")[2].split()
            if its_group == str(group) and state != "Z":
                found.append(path.parent.name)
    return found
