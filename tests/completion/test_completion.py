"""completion/xsd.bash: what bash offers."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.completion.conftest import COMPLETION, Offered
from tests.support.checks import ran
from tests.support.daemons import client_environment
from tests.support.generated import names, options_in
from xsd.cli.main import COMMANDS
from xsd.client import Client
from xsd.daemon.options import OPTIONS
from xsd.daemon.setting import Choices
from xsd.daemon.settings import ROWS

OF_THE_DAEMON = sorted(
    name
    for option in OPTIONS
    if not option.gone
    for name in (f"--{option.name}", *(f"-{letter}" for letter in option.letters))
)
WORDS: dict[str, list[str]] = {}
for row in ROWS.values():
    for given in row.given:
        for name in names(given.option):
            if given.word:
                begun = WORDS.setdefault(name, ["option nospace"])
                begun.append(f"{given.word}=")
            elif row.kind.words:
                signs = "+-" if isinstance(row.kind, Choices) else [""]
                WORDS[name] = [sign + it for it in row.kind.words for sign in signs]


def test_the_commands_are_offered(offered: Offered) -> None:
    """All of them, or those that begin so."""
    assert sorted(offered("")) == sorted(COMMANDS)
    assert offered("r") == ["read", "rm"]
    assert offered("--socket", "=", "/s", "hea") == ["health"]


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "serve"])
def test_the_options_of_a_command_are_offered(
    offered: Offered, xsd: Run, command: str
) -> None:
    """Those of its help."""
    known = options_in(xsd(command, "--help").out.decode())
    assert known
    assert sorted(offered(command, "-")) == sorted(known)


def test_the_options_of_the_daemon_are_offered(offered: Offered) -> None:
    """By both commands that take them, and by the names that it may have itself."""
    assert sorted(offered("serve", "-")) == OF_THE_DAEMON
    assert sorted(offered("config", "show", "-")) == OF_THE_DAEMON
    for name in ("xenstored", "xsd-xenstored"):
        assert sorted(offered("-", name=name)) == OF_THE_DAEMON
        assert offered("--log-level", "d", name=f"/usr/sbin/{name}") == ["debug"]


@pytest.mark.parametrize("option", WORDS)
def test_the_values_of_an_option_are_offered(offered: Offered, option: str) -> None:
    """Behind a space, or an equals sign."""
    words = WORDS[option]
    assert offered("serve", option, "") == list(words)
    if option.startswith("--"):
        assert offered("serve", option, "=") == list(words)
        begun = words[-1].rstrip("=")
        assert offered("serve", option, "=", begun) == [
            word for word in words if word in ("option nospace", words[-1])
        ]


def test_options_with_a_value_are_known_to_have_one(offered: Offered) -> None:
    """Behind one stands no other option; for a number, nothing is offered."""
    for option in OPTIONS:
        name = f"-{option.letters[0]}" if option.letters else f"--{option.name}"
        found = offered("serve", name, "") if option.value else []
        assert "--help" not in found, name
        if option.value == "n":
            assert found == [], name


FILE = ["option filenames", "xsd.toml"]
NO_SPACE = "option nospace"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        # Files, with slashes behind directories and quotes, which readline does.
        ("config check xsd.", FILE),
        ("serve --config xsd.", FILE),
        ("read --socket xsd.", FILE),
        ("--socket = xsd.", FILE),
        ("tape show xsd.", FILE),
        ("state diff xsd. xsd.", FILE),
        ("state convert --to json xsd.", FILE),
        # What can be asked about the configuration and done with tapes and states.
        ("config |", ["check", "show", "keys", "example", "-h", "--help", "--socket"]),
        ("tape |", ["show", "replay", "-h", "--help", "--socket"]),
        ("state d", ["dump", "diff"]),
        ("state convert --to |", ["json", "stream"]),
        ("state convert --version |", ["1", "2"]),
        ("state convert --order l", ["little"]),
        ("journal t", ["truncate"]),
        ("journal truncate --y", ["--yes"]),
        ("journal verify xsd.", FILE),
        ("journal --yes truncate xsd.", FILE),
        ("journal dump journal |", []),
        # What the daemon can be asked to do, and how.
        ("control l", ["log", "logfile", "live-update"]),
        ("control log o", ["on", "off"]),
        ("control log +", ["+obj", "+io", "+wrl", "+acc", "+tdb"]),
        ("control logfile xsd.", FILE),
        ("control live-update -F xsd.", FILE),
        ("control quota |", ["set", "max", "-h", "--help"]),
        ("control quota set wat", ["watches"]),
        ("control quota max |", ["-r"]),
        ("control quota-soft set |", ["memory"]),
        ("control quota set nodes |", []),
        ("control check |", ["-h", "--help"]),
        # What can be done with domains.
        ("domain |", ["create", "list", "kill", "introduce"]),
        ("domain create --n", ["--name"]),
        ("domain create --name |", []),
        ("domain create --name k l", []),
        ("help |", list(COMMANDS)),
        ("help re", ["read"]),
        # Nothing behind what takes nothing, or no more.
        ("config keys |", []),
        ("config check a |", []),
        ("tape replay record |", []),
        ("help read |", []),
        # Nothing, and nothing said, without a daemon.
        ("read /t", []),
    ],
)
def test_words_are_offered(
    offered: Offered, tmp_path: Path, words: str, wanted: list[str]
) -> None:
    """By the words before; the last, of which `|` is nothing, is to be completed."""
    (tmp_path / "xsd.toml").touch()
    assert offered(*words.replace("|", "").split(" ")) == wanted


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        # One with children ends in a slash, and the cursor stays behind it.
        ("read |", [NO_SPACE, "/"]),
        ("ls /t", ["/t", "/tool"]),
        ("read /t/o", ["/t/one", "/t/other"]),
        ("rm -t /t/one", [NO_SPACE, "/t/one/"]),
        ("list /t/one/", ["/t/one/a"]),
        ("read /t/none", []),
        ("tree -d 1 /t/x", ["/t/x"]),
        # Values, permissions and numbers are no paths.
        ("write /t/x", ["/t/x"]),
        ("write /t/x /t/", []),
        ("write /t/x 1 /t/x", ["/t/x"]),
        ("chmod -r /t/x", ["/t/x"]),
        ("chmod /t/x |", [NO_SPACE, "n", "r", "w", "b"]),
        ("watch -n |", []),
        ("watch -n 1 /t/x", ["/t/x"]),
        ("watch @r", ["@releaseDomain"]),
        ("health /t/", []),
    ],
)
def test_paths_are_those_of_the_store(
    offered: Offered, client: Client, daemon_socket: Path, words: str, wanted: list[str]
) -> None:
    """Where a path is meant."""
    for path in ("/t/one/a", "/t/other", "/t/x"):
        client.write(path, b"")
    found = offered(*words.replace("|", "").split(" "), socket=daemon_socket)
    assert sorted(found) == sorted(wanted)


def test_paths_are_those_of_the_daemon_that_is_named(
    offered: Offered, client: Client, daemon_socket: Path
) -> None:
    """By --socket, before the command or after it."""
    client.write("/t/x", b"")
    named = ("--socket", "=", str(daemon_socket))
    assert offered("read", "/t/") == []
    assert offered(*named, "read", "/t/") == ["/t/x"]
    assert offered("read", *named, "/t/") == ["/t/x"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket on which nobody answers, if not the test."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        yield listener


@pytest.mark.usefixtures("server")
def test_a_daemon_that_does_not_answer_is_not_waited_for(
    offered: Offered, tmp_path: Path
) -> None:
    """Neither an answer nor an end: it gives up by itself."""
    assert offered("read", "/t", socket=tmp_path / "s", seconds="0.1") == []


def test_names_in_the_store_are_not_run(
    offered: Offered, server: socket.socket, tmp_path: Path
) -> None:
    """A daemon that allows more than letters in names cannot have them expanded."""

    def answer() -> None:
        for reply in (b"$(touch${IFS}ran)\0a`touch\0", b""):
            peer, _ = server.accept()
            with peer:
                header = peer.recv(4096)[:12]
                peer.sendall(header + len(reply).to_bytes(4, "little") + reply)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    assert offered("read", "/$", socket=tmp_path / "s") == ["/$(touch${IFS}ran)"]
    thread.join()
    assert not (tmp_path / "ran").exists()


def test_in_a_real_shell_tab_completes(
    bash: str, program: Path, daemon_socket: Path, tmp_path: Path
) -> None:
    """Words, options and paths: what was typed in part is run as a whole."""
    typed = f". {COMPLETION}\nxsd wr\t/t/ta\tb value\nxsd rea\t--pre\t/t/ta\t\nexit\n"
    environment = {
        **client_environment(daemon_socket),
        "PATH": f"{program.parent}:/usr/bin:/bin",
        "XSD_COMPLETION_SECONDS": "60",
        "HISTFILE": "",
        "TERM": "dumb",
    }

    words = [bash, "--norc", "--noprofile", "-i"]
    done = ran(words, check=False, input=typed, cwd=tmp_path, env=environment)

    assert "/t/tab: value\n" in done.stdout
