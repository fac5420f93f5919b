"""docs/xsd.md tells of every command."""

from tests.docs.pages import ROOT, blocks_of, commands_of
from xsd.cli.control import COMMANDS as CONTROL
from xsd.cli.main import COMMANDS, ORIGINALS

PAGE = ROOT / "docs" / "xsd.md"


def test_every_command_is_typed_on_the_page() -> None:
    """With the commands of those that have some."""
    typed = " ".join(
        command.text.replace("--socket $PWD/own ", "")
        for block in blocks_of(PAGE)
        if block.language == "console"
        for command in commands_of(block)
    )
    domain = ("create", "list", "kill", "introduce")
    config = ("check", "show", "keys", "example")
    wanted = [
        *COMMANDS,
        *(f"control {name}" for name in CONTROL),
        *(f"domain {name}" for name in domain),
        *(f"config {name}" for name in config),
    ]

    assert [name for name in wanted if f"xsd {name}" not in typed] == []


def test_every_other_name_is_on_the_page() -> None:
    """Those by which it is one of Xen's tools."""
    text = PAGE.read_text()

    assert [name for name in ORIGINALS if f"`xenstore-{name}`" not in text] == []
