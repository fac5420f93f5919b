"""What the pages say can be typed is typed, and prints what they say."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.pages import FIELDS, NEEDS, PAGES, ROOT, TEXT, Block, Command
from tests.docs.terminal import (
    Terminal,
    environment_of,
    has_field,
    pattern_of,
    prepare,
    type_all,
)
from tests.support.daemons import start_xsd
from tests.support.processes import wait_until

KNOWN = {
    *("with a daemon", "in another terminal", "seen there", "fields seen there"),
    *("file", "excerpt"),
}


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
    blocks = [block for block in pages.blocks_of(page) if not block.is_needy]
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
        type_all(blocks, scratch, lambda: Terminal(scratch, environ))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_block_is_passed_over(page: Path) -> None:
    """Each is run, here or by a target, stands somewhere else, or is no commands."""
    faults = {block.where: fault_of(block) for block in pages.blocks_of(page)}
    assert {where: fault for where, fault in faults.items() if fault} == {}


def fault_of(block: Block) -> str:
    """Why a block would be passed over, or is not what it says, or nothing."""
    noted = block.note.partition(":")[0].strip()
    commands = [line for line in block.text.splitlines() if line.startswith("$ ")]
    fault = ""
    if block.is_directive:
        return ""
    if not block.language:
        fault = "indented, or a fence without a language"
    elif noted and noted not in KNOWN and not block.is_needy:
        fault = f"unknown: {block.note}"
    elif block.language == "console":
        fault = "" if pages.commands_of(block) else "no command"
    elif block.language == TEXT:
        is_text = not commands and noted in {"", "seen there"}
        fault = "" if is_text else "commands in a text"
    elif block.language == FIELDS:
        fault = "" if block.text else "no field"
    elif block.language != "python" and noted not in {"file", "excerpt"}:
        fault = f"nothing is done with {block.language}"
    if block.is_needy:
        return fault or unknown_of(block)
    if noted == "excerpt" and not stands_in(block.noted("excerpt") or "", block.text):
        return "no excerpt"
    return fault


def stands_in(name: str, text: str) -> bool:
    lines = [line.strip() for line in (ROOT / name).read_text().splitlines()]
    wanted = [line.strip() for line in text.splitlines()]
    return any(lines[at : at + len(wanted)] == wanted for at in range(len(lines)))


def unknown_of(block: Block) -> str:
    """What its target and the target's programs do not know of a block, or nothing."""
    need, _, target = block.note.removeprefix("needs ").partition(": ")
    if need not in NEEDS:
        return f"need: {need}"
    usual, places = NEEDS[need]
    name = target.removeprefix("make ")
    if f"\n{name}:" not in (ROOT / "Makefile").read_text():
        return f"target: {target}"
    if name != usual and need != "minutes":
        return f"target of {need}: {target}"
    files = [ROOT / place for place in places]
    files += [path for place in files for path in place.rglob("*")]
    texts = [path.read_text("utf-8", "replace") for path in files if path.is_file()]
    known = "\n".join(texts)
    if f'ROOT / "docs" / "{block.page.name}"' in known:
        return ""  # those programs type the page as it stands
    words = [telling_words(each.text) for each in pages.commands_of(block)]
    return " ".join(
        word
        for word in sorted(set().union(*words))
        if word not in known and f'"{word.lstrip("-")}"' not in known
    )


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


CONTAINER = "needs a container engine: make test-container"
SYSTEMD = "needs root and systemd: make soak"


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
        ("fields", "", "fields seen there: daemon", "no field"),
        ("sh", "true\n", "", "nothing is done with sh"),
        ("make", "all:\n", "excerpt: Makefile", "no excerpt"),
        ("make", "lint: .venv/.develop\n", "excerpt: Makefile", ""),
        ("console", "$ make soak\n", "needs minutes: make soak", ""),
        ("console", "$ make nothing\n", "needs minutes: make test", "\nnothing:"),
        ("console", "$ true\n", "needs time: make test", "need: time"),
        ("console", "$ true\n", "needs minutes: make nothing", "target: make nothing"),
        ("console", "$ true\n", SYSTEMD, "target of root and systemd: make soak"),
        ("console", "$ docker run --no-such xsd\n", CONTAINER, "--no-such"),
    ],
)
def test_what_would_be_passed_over_is_found(
    language: str, text: str, note: str, fault: str
) -> None:
    """Else a page could say what nobody has tried, or what no target knows."""
    assert fault_of(Block(PAGES[0], 1, language, text, note)) == fault


# What these tests rest on.


def test_commands_are_told_from_what_they_print() -> None:
    """With their further lines; without a command at its begin it is no such block."""
    block = Block(PAGES[0], 1, "console", "$ a \\\n> b\nx\n> y\n$ c\n", "")
    found = pages.commands_of(block)
    assert found == [Command("a \\\nb", "x\n> y\n"), Command("c", "")]
    with pytest.raises(ValueError, match="no command before: x"):
        pages.commands_of(Block(PAGES[0], 1, "console", "x\n$ a\n", ""))


def test_blocks_have_the_notes_before_them(tmp_path: Path) -> None:
    """Only if nothing stands between; what is indented is a block as well."""
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- file: a -->\n```toml\nx\n```\n\n<!-- b -->\nwords\n\n"
        "```console\n$ y\n```\n\ntext\n\n    z\n\n"
        "<!-- fields seen there: x -->\nwith `a=b`, `c` and\n`d='e f'`\n\n`g=h`\n"
    )
    found = [(each.language, each.text, each.note) for each in pages.blocks_of(page)]
    assert found == [
        ("toml", "x\n", "file: a"),
        ("console", "$ y\n", ""),
        ("", "z\n", ""),
        ("fields", "a=b\nd='e f'", "fields seen there: x"),
    ]


@pytest.mark.parametrize(
    ("field", "there"),
    [
        ("domid=1", True),
        ("domid=17", False),
        ("id=1", False),
        ("path=/a", False),
        ("path=/a/b", True),
        ("path=/...", True),
        ("reason='no right'", True),
        ("reason=no right", True),
        ("reason=no", False),
        ("reason='no right on ...'", False),
    ],
)
def test_fields_are_found_whole(field: str, there: bool) -> None:
    """Name and value; the quotes that a page has around it say nothing."""
    line = '{"domid": 1, "path": "/a/b", "reason": "no right", "z": null}\n'
    assert has_field(line, field) is there


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
