"""The manual pages: right in form, and with all that there is."""

import re

import pytest

from tests.cli.conftest import Run
from tests.conftest import NeedProgram
from tests.support.checks import ran
from tests.support.generated import ROOT, options_in
from xsd.cli.control import COMMANDS as CONTROL
from xsd.cli.main import COMMANDS, ORIGINALS
from xsd.client.address import default_socket_path
from xsd.daemon.configfile import DEFAULT_FILE
from xsd.daemon.options import OPTIONS
from xsd.daemon.settings import SETTINGS

MAN = ROOT / "man"
NAMES = sorted(path.name for path in MAN.iterdir())
COMMON = {"-h", "--help", "-s", "--socket", "--timeout"}
CONFIG_COMMANDS = ("check", "show", "keys", "example")


def plain(name: str) -> str:
    """Return a page's text without fonts and escapes, requests left in."""
    text = (MAN / name).read_text()
    return re.sub(r"\\f[BIR]", "", text).replace("\\-", "-").replace("\\ ", " ")


@pytest.mark.parametrize("name", NAMES)
def test_man_has_nothing_to_complain_of(need_program: NeedProgram, name: str) -> None:
    """A mistyped request would swallow its line."""
    man = need_program("man", "man-db")
    need_program("groff", "groff-base")

    words = [man, "--warnings", "-E", "UTF-8", "-l", str(MAN / name)]
    done = ran(
        words, env={"MANWIDTH": "80", "PATH": "/usr/bin:/bin", "MANPAGER": "cat"}
    )

    assert done.stderr == ""
    assert re.search(rf"^{name.rpartition('.')[0]}\b", done.stdout, re.IGNORECASE)


@pytest.mark.parametrize("name", NAMES)
def test_the_other_man_has_nothing_to_complain_of(
    need_program: NeedProgram, name: str
) -> None:
    """mandoc, which some distributions have, is stricter."""
    mandoc = need_program("mandoc", "mandoc")
    words = [mandoc, "-T", "lint", "-W", "warning", str(MAN / name)]
    done = ran(words, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_pages_refer_to_pages_that_are_there() -> None:
    """Or to those of the system."""
    system = {"systemctl.1", "sd_notify.3", "xenstore.1"}
    found = {
        f"{page}.{section}"
        for name in NAMES
        for page, section in re.findall(r"([\w.-]+) ?\(([1-8])\)", plain(name))
    }
    assert found - system == set(NAMES)


def test_units_refer_to_pages_that_are_there() -> None:
    """`systemctl help xenstored` shows it."""
    units = MAN.parent / "systemd"
    for unit in ("xenstored.service", "xenstored.socket"):
        named = re.findall(r"man:([\w.]+)\((\d)\)", (units / unit).read_text())
        assert named
        assert {f"{page}.{section}" for page, section in named} <= set(NAMES)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "serve"])
def test_each_option_of_a_command_is_in_its_page(xsd: Run, command: str) -> None:
    """Those of every command stand before them all."""
    text = plain("xsd.1")
    common, _, commands = text.partition("\n.SH COMMANDS\n")
    parts = re.findall(
        rf"xsd {command}\b.*?(?=\n\.TP\n\.B[A-Z]* \"?xsd |\n\.SS )", commands, re.DOTALL
    )
    assert parts, command
    for option in options_in(xsd(command, "--help").out.decode()):
        everywhere = option in COMMON
        place = common if everywhere else "\n".join(parts)
        found = re.search(rf"(?<![\w-]){option}(?![\w-])", place)
        assert found, f"{option} of {command} is to go into man/xsd.1, by hand"


def test_the_options_of_a_command_are_found(xsd: Run) -> None:
    """So that the test before looks for something."""
    found = options_in(xsd("tree", "--help").out.decode())
    assert {*found} >= {"-h", "--socket", "-s", "-p", "-d", "--depth", "--ascii"}
    assert found["-d"]
    assert not found["--ascii"]
    text = "about -x\n\n  -0, --null            -y is not\n  --x-3 N\n"
    assert options_in(text) == {"-0": False, "--null": False, "--x-3": True}


def test_every_other_command_and_name_is_in_the_page() -> None:
    """`xsd serve`, what can be asked about the configuration, and links."""
    text = plain("xsd.1")
    commands = [
        *(f"config {word}" for word in CONFIG_COMMANDS),
        *(f"domain {word}" for word in ("create", "list", "kill", "introduce")),
        *(f"control {word}" for word in CONTROL),
    ]
    for words in ("serve", *commands):
        assert re.search(rf'^\.B[RI]? "?xsd {words}\b', text, re.MULTILINE), words
    for name in ORIGINALS:
        assert re.search(rf"^\.BR? xenstore-{name}\b", text, re.MULTILINE), name


def test_the_commands_about_the_configuration_are_those(xsd: Run) -> None:
    """As its help has them."""
    usage = f"usage: xsd config [-h] {'|'.join(CONFIG_COMMANDS)} ..."
    assert xsd("config", "--help").out.decode().startswith(usage)


@pytest.mark.parametrize("name", NAMES)
def test_variables_of_the_environment_are_in_the_pages(name: str) -> None:
    """Those of the settings, and the one that names the file."""
    variables = {each.variable for each in SETTINGS.values()} - {""}
    for variable in {"XSD_CONFIG", *variables}:
        assert variable in plain(name)


def test_every_option_and_setting_stands_in_its_page() -> None:
    """Whatever the script does that writes them."""
    for option in OPTIONS:
        assert re.search(rf"--{option.name}\b", plain("xenstored.8")), option
    for setting in SETTINGS.values():
        section = plain("xsd.toml.5").partition(f".SS [{setting.section}]")[2]
        assert f"\n.TP\n{setting.name}\n{setting.text[:10]}" in section


def test_pages_name_the_files_that_are_used() -> None:
    """The paths of the code."""
    for name in NAMES:
        assert str(DEFAULT_FILE) in plain(name)
    assert default_socket_path({}) in plain("xsd.1")
