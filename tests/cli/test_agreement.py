"""`xsd` does, prints and returns what the xenstore-* tools do, byte for byte.

Both run against the same daemon, one after the other, on equal stores. What
differs on purpose is pinned by the tests of the commands: `xsd` has reasons of its own
for what fails, unless it goes by the name of the original.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import Result, Run
from tests.conftest import NeedProgram
from tests.support.daemons import client_environment
from tests.support.terminal import run_on_terminal
from xsd.client import Client

STORE: Mapping[bytes, bytes] = {
    b"/t/a": b"1",
    b"/t/a/b": b"",
    b"/t/a/b/c": b"two words",
    b"/t/a/d": b"\0\1\7\x08\t\n\r\x1f \"'\\~\x7f\x80\xff",
    b"/t/empty/empty/empty": b"",
    b"/t/long": b"x" * 300,
    b"/t/limit": b"x" * 67,
    b"/t/over": b"x" * 69,
    b"/t/" + b"name" * 25: b"",
    b"/t/" + b"word" * 20: b"1",
    b"/t/controls": b"\1" * 70,
}

LINES = """
read /t/a; read /t/a /t/a/b /t/a/d; read -p /t/a /t/a/d; read -R /t/a/d;
read -pR /t/a /t/a/d; read --raw --prefix /t/a; read --pre /t/a; read -s /t/a;
read /t/a -p /t/a/b; read -- /t/a; read /t/none; read /t/a /t/none /t/a/b; read /t//a;
read /t/a/; read relative;
write /t/new value; write -- /t/a -5; write -- /t/a -x; write /t//a 1;
write /t/a 2 /t//a 1;
list /t; list -p /t/a /t; list /t/a/b/c; list /t/none; list /t/a /t/none;
exists /t/a; exists /t/a /t/a/b; exists /t/a /t/none; exists /t/none /t/a;
exists /t//a;
rm /t/a; rm /t/none; rm /t/none/none; rm /t/a/b /t/long; rm /t/a /t/none/none; rm /;
rm -t /t/a/b/c; rm -t /t/empty/empty/empty; rm -t /t/empty/none; rm -t /t/a/b /t/a/d;
rm -t /t/none/none; rm -t relative;
ls /t; ls -p /t; ls -f /t; ls -fp /t; ls /; ls; ls -f; ls /t/a /t/empty;
ls -f /t/empty /t/a; ls /t/a/d; ls /t/none; ls /t/a /t/none; ls /t/; ls relative;
chmod /t/a n0; chmod /t/a r0 b0 w0; chmod -r /t/a r0; chmod -u /t/a/b r0;
chmod -u -r /t/a/b b0; chmod /t/none r0; chmod -r /t/none r0; chmod -u /t/none r0;
chmod /t//a r0; chmod /t/a x0; chmod /t/a r0 0; chmod /t/a n0 r5 b6 w7;
watch -n 1 /t/a; watch -n 2 /t/a relative; watch -n 0 /t/a;
watch -n 2 /t/a @releaseDomain
"""

COMMANDS = [
    *(line.split() for line in LINES.replace("\n", " ").split(";")),
    ["read", ""],
    ["write", "/t/a", "1", "/t/new/deep", ""],
    ["write", "/t/a", r"\x41\n\t\r\001\\\00y\q\x\xg\8\1234\777"],
    ["write", "-R", "/t/a", r"\x41\n"],
    ["write", "/t/a", "tab\t\u00e9"],
    ["write", "/t/big", "x" * 4089],
    ["write", "/t/big", "x" * 4088],
    ["write", "/t/big", "x" * 5000],
]

WIDTHS = [0, 2, 5, 9, 10, 12, 13, 20, 21, 62, 63, 64, 80, 81, 110, 400]


@pytest.fixture
def store(client: Client) -> Client:
    """A client of a store with `STORE` in it."""
    fill(client)
    return client


def fill(client: Client) -> None:
    """Make the store what it is at the start of every command."""
    client.rm("/t")
    for path, value in STORE.items():
        client.write(path, value)
    client.set_permissions("/t/a/d", ["n0", "r5"])


def contents(client: Client) -> dict[bytes, tuple[bytes, list[bytes], list[bytes]]]:
    """Return value, permissions and children of all from /t on; permissions of /."""
    root: tuple[bytes, list[bytes], list[bytes]]
    root = (b"", client.get_permissions("/"), [])
    found = {b"/": root}
    waiting = [b"/t"] if client.exists("/t") else []
    while waiting:
        path = waiting.pop()
        names = client.directory(path)
        found[path] = (client.read(path), client.get_permissions(path), names)
        waiting += [path + b"/" + name for name in names]
    return found


def original(words: list[str], socket: Path, need_program: NeedProgram) -> Result:
    """Run the xenstore-* tool, and return what it did."""
    name = f"xenstore-{words[0]}"
    return run([need_program(name, "xenstore-utils"), *words[1:]], socket)


def run(words: list[str], socket: Path) -> Result:
    """Run a client of the daemon."""
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env=client_environment(socket),
    )
    return Result(done.stdout, done.stderr, done.returncode)


def silent(result: Result) -> Result:
    """Return what a command did without what it said about it."""
    return result._replace(err=b"")


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:60])
def test_command_does_what_the_original_does(
    xsd: Run,
    called: Run,
    store: Client,
    daemon_socket: Path,
    need_program: NeedProgram,
    words: list[str],
) -> None:
    """Output, exit status and the store afterwards are the same.

    Run under the original's name it also says the same of what is wrong.
    """
    expected = original(words, daemon_socket, need_program)
    expected_contents = contents(store)
    fill(store)

    done = xsd(*words)
    assert silent(done) == silent(expected)
    assert done.err.startswith(f"xsd {words[0]}: ".encode() if expected.err else b"")
    assert contents(store) == expected_contents

    fill(store)
    assert called(f"/bin/xenstore-{words[0]}", *words[1:]) == expected
    assert contents(store) == expected_contents


@pytest.mark.parametrize("words", [["/t//a"], ["/t", "/t"]], ids=" ".join)
def test_refused_watch_says_what_the_original_says(
    called: Run, daemon_socket: Path, need_program: NeedProgram, words: list[str]
) -> None:
    """But for an empty line that the original prints behind it."""
    expected = original(["watch", "-n", "1", *words], daemon_socket, need_program)

    assert called("xenstore-watch", "-n", "1", *words) == expected._replace(
        err=expected.err.removesuffix(b"\n")
    )


@pytest.mark.usefixtures("store")
def test_link_by_the_name_of_the_original_stands_in_for_it(
    tmp_path: Path, daemon_socket: Path, need_program: NeedProgram
) -> None:
    """So that scripts for the originals run where only `xsd` is installed."""
    script = tmp_path / "xsd"
    script.write_text(
        f"#!{sys.executable}\n"
        "import sys\nfrom xsd.cli.main import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    link = tmp_path / "xenstore-ls"
    link.symlink_to(script)
    expected = original(["ls", "-fp", "/t"], daemon_socket, need_program)

    assert run([str(link), "-fp", "/t"], daemon_socket) == expected


@pytest.mark.slow
@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.usefixtures("store")
def test_lines_on_a_terminal_are_cut_as_the_original_cuts_them(
    daemon_socket: Path, need_program: NeedProgram, columns: int
) -> None:
    """At every width, also those too narrow for anything."""
    program = need_program("xenstore-ls", "xenstore-utils")
    environment = client_environment(daemon_socket)

    theirs = run_on_terminal([program, "-p", "/t"], columns, environment)
    ours = run_on_terminal(
        [sys.executable, "-m", "xsd", "ls", "-p", "/t"], columns, environment
    )

    assert ours == theirs


def test_original_reads_what_ours_wrote(
    xsd: Run, client: Client, daemon_socket: Path, need_program: NeedProgram
) -> None:
    """And shows it as ours does, for every byte but NUL in an argument."""
    value = bytes(range(1, 256))
    client.mkdir("/t")

    assert xsd("write", "-R", "/t/a", os.fsdecode(value)) == Result(b"")
    assert xsd("read", "/t/a") == original(
        ["read", "/t/a"], daemon_socket, need_program
    )
