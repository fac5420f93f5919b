"""completion/xsd.bash: what bash offers."""

import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.completion.conftest import COMPLETION, Offered
from tests.support.daemons import client_environment
from tests.support.generated import names
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
FREE = [option for option in OPTIONS if option.value == "n"]


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
    text = xsd(command, "--help").out.decode()
    lines = re.findall(r"^  (-.*?)(?:  .*)?$", text, re.MULTILINE)
    known = re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", "\n".join(lines))

    assert known
    assert sorted(offered(command, "-")) == sorted(known)


@pytest.mark.parametrize("before", [("serve",), ("config", "show")])
def test_the_options_of_the_daemon_are_offered(
    offered: Offered, before: tuple[str, ...]
) -> None:
    """By both commands that take them."""
    assert sorted(offered(*before, "-")) == OF_THE_DAEMON


@pytest.mark.parametrize("name", ["xenstored", "xsd-xenstored"])
def test_the_daemon_itself_has_completion(offered: Offered, name: str) -> None:
    """By the names that it may have."""
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


@pytest.mark.parametrize("option", FREE, ids=[option.name for option in FREE])
def test_nothing_is_offered_for_a_number(offered: Offered, option: object) -> None:
    """Least of all an option."""
    name = str(option).rpartition("/")[2]

    assert offered("serve", name, "") == []


def test_every_option_with_a_value_is_known_to_have_one(offered: Offered) -> None:
    """Behind it stands no other option."""
    for option in OPTIONS:
        if option.value:
            name = f"-{option.letters[0]}" if option.letters else f"--{option.name}"
            assert "--help" not in offered("serve", name, ""), name


def test_files_are_offered_where_files_are_meant(
    offered: Offered, tmp_path: Path
) -> None:
    """With slashes behind directories and quotes, which readline does."""
    (tmp_path / "xsd.toml").touch()

    for words in (
        ("config", "check"),
        ("serve", "--config"),
        ("read", "--socket"),
        ("--socket", "="),
    ):
        assert offered(*words, "xsd.") == ["option filenames", "xsd.toml"]


def test_what_can_be_asked_about_the_configuration_is_offered(offered: Offered) -> None:
    """And nothing behind what takes nothing."""
    assert offered("config", "") == [
        *("check", "show", "keys", "example"),
        *("-h", "--help", "--socket"),
    ]
    assert offered("config", "keys", "") == []
    assert offered("config", "check", "a", "") == []


def test_what_can_be_done_with_a_tape_is_offered(
    offered: Offered, tmp_path: Path
) -> None:
    """Then a file, then nothing."""
    (tmp_path / "record").touch()

    assert offered("tape", "") == ["show", "replay", "-h", "--help", "--socket"]
    assert offered("tape", "show", "rec") == ["option filenames", "record"]
    assert offered("tape", "replay", "record", "") == []


def test_paths_are_those_of_the_store(
    offered: Offered, client: Client, daemon_socket: Path
) -> None:
    """One with children ends in a slash, and the cursor stays behind it."""
    for path in ("/t/one/a", "/t/other", "/t/x"):
        client.write(path, b"")

    def paths(*words: str) -> list[str]:
        return offered(*words, socket=daemon_socket)

    assert paths("read", "") == ["option nospace", "/"]
    assert sorted(paths("ls", "/t")) == ["/t", "/tool"]
    assert paths("read", "/t/o") == ["/t/one", "/t/other"]
    assert paths("rm", "-t", "/t/one") == ["option nospace", "/t/one/"]
    assert paths("list", "/t/one/") == ["/t/one/a"]
    assert paths("read", "/t/none") == []
    assert paths("tree", "-d", "1", "/t/x") == ["/t/x"]


def test_paths_are_those_of_the_daemon_that_is_named(
    offered: Offered, client: Client, daemon_socket: Path
) -> None:
    """By --socket, before the command or after it."""
    client.write("/t/x", b"")
    named = ("--socket", "=", str(daemon_socket))

    assert offered("read", "/t/") == []
    assert offered(*named, "read", "/t/") == ["/t/x"]
    assert offered("read", *named, "/t/") == ["/t/x"]


def test_only_what_is_a_path_is_completed_as_one(
    offered: Offered, client: Client, daemon_socket: Path
) -> None:
    """Values, permissions and numbers are not."""
    client.write("/t/x", b"")

    def paths(*words: str) -> list[str]:
        return offered(*words, socket=daemon_socket)

    assert paths("write", "/t/") == ["/t/x"]
    assert paths("write", "/t/x", "/t/") == []
    assert paths("write", "/t/x", "1", "/t/") == ["/t/x"]
    assert paths("chmod", "-r", "/t/") == ["/t/x"]
    assert paths("chmod", "/t/x", "") == ["option nospace", "n", "r", "w", "b"]
    assert paths("watch", "-n", "") == []
    assert paths("watch", "-n", "1", "/t/") == ["/t/x"]
    assert paths("watch", "@r") == ["@releaseDomain"]
    assert paths("health", "/t/") == []


def test_without_a_daemon_nothing_is_offered_and_nothing_said(offered: Offered) -> None:
    """The line that is being typed stays as it is."""
    assert offered("read", "/t") == []


def test_a_daemon_that_does_not_answer_is_not_waited_for(
    offered: Offered, tmp_path: Path
) -> None:
    """Neither an answer nor an end: it gives up by itself."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()

        assert offered("read", "/t", socket=path, seconds="0.1") == []


def test_names_in_the_store_are_not_run(offered: Offered, tmp_path: Path) -> None:
    """A daemon that allows more than letters in names cannot have them expanded."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            names = b"$(touch${IFS}ran)\0a`touch\0"
            for reply in (names, b""):
                peer, _ = server.accept()
                with peer:
                    header = peer.recv(4096)[:12]
                    peer.sendall(header + len(reply).to_bytes(4, "little") + reply)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()

        assert offered("read", "/$", socket=path) == ["/$(touch${IFS}ran)"]
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

    done = subprocess.run(
        [bash, "--norc", "--noprofile", "-i"],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )

    assert "/t/tab: value\n" in done.stdout
