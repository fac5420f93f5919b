"""Doing what the blocks of a page say."""

from pathlib import Path

from tests.docs.pages import Block, Command, commands_of
from tests.docs.terminal import Terminal, pattern_of


def follow(block: Block, scratch: Path, terminals: dict[str, Terminal]) -> None:
    other = block.noted("in another terminal")
    seen = block.noted("seen there")
    name = block.noted("file")
    if seen is not None:
        terminals[seen].expect(block.text)
    elif other is not None:
        leave(terminals[other], block)
    elif block.language == "console":
        for command in commands_of(block):
            type_in(terminals[""], block, command)
    elif name is not None:
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_text(block.text)
    elif block.language == "python" and block.noted("excerpt") is None:
        (scratch / ".block.py").write_text(block.text)
        type_in(terminals[""], block, Command("python .block.py", ""))


def type_in(terminal: Terminal, block: Block, command: Command) -> None:
    """Run a command and compare what it prints."""
    printed, status = terminal.run(command.text)
    assert status == 0, f"{block.where}: {command.text}: {status}\n{printed}"
    assert pattern_of(command.printed).fullmatch(printed), (
        f"{block.where}: {command.text}\nprints:\n{printed}"
        f"and the page says:\n{command.printed}"
    )


def leave(terminal: Terminal, block: Block) -> None:
    *others, last = commands_of(block)
    for command in others:
        type_in(terminal, block, command)
    terminal.leave(last.text, last.printed)
