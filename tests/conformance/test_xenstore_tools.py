"""Debian's xenstore-* programs: what they ask, exit status and output."""

import re
import shlex
from contextlib import ExitStack
from typing import Final

import pytest

from tests.conformance.programs import PATIENCE_S, Ran, Tools

_COLUMN: Final = ". " * 26
_REFUSED: Final = "! Error occurred setting permissions on"

# A line has a program, its words and what it prints, with bars between the lines of
# that. What follows an exclamation mark is an error: it ends with status 1.
ON_A_SMALL_STORE: Final[dict[str, str]] = {
    "read prints values in the order of its words; -p shows paths, -s is nothing": """
        read /t/b/c /t/a /t/b -> 2|1|
        read -s /t/a -> 1
        read -p /t/a /t/b/c -> /t/a: 1|/t/b/c: 2
        read --prefix /t/a -> /t/a: 1
    """,
    "read ends at the first path that cannot be read": """
        read /t/a /none /t/b/c -> 1|! couldn't read path /none
    """,
    **{
        f"read of {path!r}, which is no path, fails": f"""
        read '{path}' -> ! couldn't read path {path}
        """
        for path in ("", "/t/", "/t//a", "//t", "/t/a b", "/t/\xfc", "@releaseDomain")
    },
    "write of several nodes is a transaction: it happens whole or not at all": """
        write /t/a 9 '/t/b d' 1 -> ! could not write path /t/b d
        read /t/a -> 1
    """,
    "list prints children in order of their making, -p with the path in front": """
        list /t -> a|b
        list -s /t -> a|b
        list -p /t /t/b -> /t/a|/t/b|/t/b/c
        list --prefix /t/b -> /t/b/c
        list /t/a
    """,
    "list of a missing node fails after what came before it": """
        list /t /none /t -> a|b|! could not list path /none
    """,
    "exists tells by its status alone whether all of the nodes are there": """
        exists /t/a
        exists -s /t/a /t/b/c /
        exists /none -> !
        exists /t/a /none -> !
        exists /t/ -> !
        exists @releaseDomain -> !
    """,
    "ls draws the tree below a node, or the root, a blank for each level": """
        ls /t -> a = "1"|b = ""| c = "2"
        ls -s /t -> a = "1"|b = ""| c = "2"
        ls -> tool = ""| xenstored = ""|t = ""| a = "1"| b = ""|  c = "2"
        ls /t/b /tool -> c = "2"|xenstored = ""
        ls /t/a
    """,
    "ls -f shows whole paths": """
        ls -f /t -> /t/a = "1"|/t/b = ""|/t/b/c = "2"
        ls --flat /t -> /t/a = "1"|/t/b = ""|/t/b/c = "2"
    """,
    "ls -p shows permissions in a column of their own, or with -f after the value": f"""
        chmod /t/b n0 r5 w6
        ls -p /t -> a = "1"  {_COLUMN} (n0)|b = "" . {_COLUMN} (n0,r5,w6)
        | c = "2" {_COLUMN} (n0)
        ls -fp /t -> /t/a = "1"   (n0)|/t/b = ""   (n0,r5,w6)|/t/b/c = "2"   (n0)
    """,
    "ls of what is no node fails with the daemon's reason": """
        ls /t/b /none -> c = "2"|! xs_directory (/none): No such file or directory
        ls /t/b /t/ -> c = "2"|! xs_directory (/t/): Invalid argument
        ls /t/b '' -> c = "2"|! xs_directory (): Invalid argument
    """,
    "rm removes nodes with all below; a missing one is as good as a removed one": """
        rm -s /t/b /t/none
        ls /t -> a = "1"
    """,
    "rm of what cannot be removed fails: a transaction, so what came before stays": """
        rm /t/a /none/none -> ! could not remove path /none/none
        exists /t/a
        rm /t/a / -> ! could not remove path /
        exists /t/a
        rm /t/a /t/ -> ! could not remove path /t/
        exists /t/a
        rm /t/a @releaseDomain -> ! could not remove path @releaseDomain
        exists /t/a
    """,
    "chmod sets permissions of one node; domains that are not there get rights": """
        chmod /t/b b0 r1 w2 n3 b4 r77 r5
        chmod -s /t/a r0
        ls -fp /t -> /t/a = "1"   (r0)|/t/b = ""   (b0,r1,w2,n3,b4,r77,r5)
        |/t/b/c = "2"   (n0)
    """,
    "chmod takes a missing number for 0: the daemon gets n0 and r0": """
        chmod /t/a n rx
        ls -fp /t -> /t/a = "1"   (n0,r0)|/t/b = ""   (n0)|/t/b/c = "2"   (n0)
    """,
    **{
        f"chmod {option} sets permissions of a node and all below": f"""
        chmod {option} /t/b n0 r5
        ls -fp /t -> /t/a = "1"   (n0)|/t/b = ""   (n0,r5)|/t/b/c = "2"   (n0,r5)
        """
        for option in ("-r", "--recurse")
    },
    **{
        f"chmod {option} sets permissions up to the root, without it": f"""
        chmod {option} /t/b/c n0 w7
        write /t/n ''
        write /n ''
        ls -fp -> /tool = ""   (n0)|/tool/xenstored = ""   (n0)|/t = ""   (n0,w7)
        |/t/a = "1"   (n0)|/t/b = ""   (n0,w7)|/t/b/c = "2"   (n0,w7)
        |/t/n = ""   (n0,w7)|/n = ""   (n0)
        """
        for option in ("-u", "--upto")
    },
    "chmod -r -u goes up and down at once": """
        chmod -r -u /t/b n0 b3
        ls -fp /t -> /t/a = "1"   (n0)|/t/b = ""   (n0,b3)|/t/b/c = "2"   (n0,b3)
    """,
    **{
        f"chmod {option} {path} {mode} fails with the daemon's reason": f"""
        chmod {option} {path} {mode} -> {_REFUSED} '{path}': {why}
        """
        for path, mode, why in (
            ("/t/none", "n0", "No such file or directory"),
            ("/t/b", "n77", "No such file or directory"),
            ("/t/b", "n-1", "No such file or directory"),
            ("/t/", "n0", "Invalid argument"),
        )
        for option in ("", "-r", "-u")
    },
    "chmod refuses wrong permissions itself, the daemon none at all": f"""
        chmod /t/a -> {_REFUSED} '/t/a': Invalid argument
        chmod /t/a x0 -> ! Invalid permission specification: 'x'
    """,
    # -n ends it after so many events.
    "watch is told of each path at once, whether or not there is a node": """
        watch -n 1 /t -> /t
        watch --number=1 /none/at/all -> /none/at/all
        watch -n 2 /t /t/a -> /t|/t/a
        watch -n 1 / -> /
        watch -n 1 @releaseDomain -> @releaseDomain
        watch -n 1 @introduceDomain -> @introduceDomain
        watch -n 0 /t
    """,
}
ON_AN_EMPTY_STORE: Final[dict[str, str]] = {
    "relative paths begin at domain 0: a socket's client is the control domain": """
        write rel/x 1
        read /local/domain/0/rel/x rel/x -> 1|1
        ls rel -> x = "1"
        watch -n 1 rel/x -> rel/x
        rm rel/x
        list rel
    """,
    "write makes the nodes above, empty; children keep the order of their making": """
        write /t/z/y 1 /t/a '' -s /t/z/b 3
        ls /t -> z = ""| y = "1"| b = "3"|a = ""
    """,
    "a value may fill a message and no more: 4,093 bytes for /t": f"""
        write /t {"x" * 4093}
        read /t -> {"x" * 4093}
        write /t {"y" * 4094} -> ! could not write path /t
        read /t -> {"x" * 4093}
    """,
    "ls cuts long values at 80 columns, unless -f is given": rf"""
        write /t/long {"x" * 200}
        ls /t -> long = "{"x" * 68}\..."
        ls -p /t -> long = "{"x" * 68}\..."  (n0)
        ls -f /t -> /t/long = "{"x" * 200}"
    """,
    **{
        f"rm {option} removes nodes above that it leaves empty": f"""
        write /t/x/y/z 1 /t/x/k 1 /u/v/w 1
        rm {option} /t/x/y/z /u/v/w
        ls -> tool = ""| xenstored = ""|t = ""| x = ""|  k = "1"
        """
        for option in ("-t", "--tidy")
    },
}


def play(xs: Tools, script: str) -> None:
    """Run the programs of a script; they must print what stands in it."""
    for line in re.sub(r"\n *\|", "|", script).split("\n")[1:-1]:
        typed, _, told = line.partition(" -> ")
        mode, *words = shlex.split(typed)
        printed = told.split("|") if told else []
        wrong = [text for text in printed if text.startswith("!")]
        out = "".join(f"{text}\n" for text in printed if text not in wrong)
        err = "".join(f"xenstore-{mode}:{text[1:]}\n" for text in wrong if text[1:])
        assert xs(mode, *words) == Ran(len(wrong), out.encode(), err.encode()), typed


@pytest.fixture
def small(xs: Tools) -> Tools:
    """The programs on a store with /t and two nodes below it."""
    assert xs("write", "/t/a", "1", "/t/b/c", "2") == Ran()
    return xs


@pytest.mark.parametrize("rule", ON_A_SMALL_STORE)
def test_programs_print_and_end_as_they_should(small: Tools, rule: str) -> None:
    """On /t/a and /t/b/c."""
    play(small, ON_A_SMALL_STORE[rule])


@pytest.mark.parametrize("rule", ON_AN_EMPTY_STORE)
def test_programs_do_so_on_an_empty_store(xs: Tools, rule: str) -> None:
    """With what they write themselves."""
    play(xs, ON_AN_EMPTY_STORE[rule])


def test_read_shows_bytes_that_cannot_be_printed_as_escapes(xs: Tools) -> None:
    r"""-R prints them as they are, without a newline; write takes \ooo, \xhh, \t."""
    value = b'a\x01\xc3\xbc\n"\\\\'
    assert xs("write", "/t", value, "/u", rb"a\x00b\tc\101") == Ran()

    assert xs("read", "/t", "/u") == Ran(
        out=rb'a\001\xc3\xbc\n"\\' + b"\n" + rb"a\000b\tcA" + b"\n"
    )
    assert xs("read", "-R", "/t") == Ran(out=b'a\x01\xc3\xbc\n"\\')
    assert xs("read", "--raw", "/u") == Ran(out=b"a\0b\tcA")


def test_write_takes_bytes_as_they_are_with_raw(xs: Tools) -> None:
    """-R: a backslash is a backslash."""
    assert xs("write", "-R", "/t", rb"a\x00b") == Ran()

    assert xs("read", "-R", "/t") == Ran(out=rb"a\x00b")
    assert xs("ls") == Ran(out=b'tool = ""\n xenstored = ""\nt = "a\\\\x00b"\n')


def test_programs_that_write_at_once_all_succeed(xs: Tools) -> None:
    """Each repeats its transaction until nobody has come between."""
    with ExitStack() as held:
        writers = [
            held.enter_context(xs.start("write", "/t/last", f"{n}", f"/t/{n}", "x"))
            for n in range(10)
        ]
        ends = [writer.communicate(timeout=PATIENCE_S) for writer in writers]

    assert ends == [(b"", b"")] * 10
    assert [writer.returncode for writer in writers] == [0] * 10
    names = xs("list", "/t").out.split()
    assert sorted(names) == sorted([b"last", *(b"%d" % n for n in range(10))])
    assert xs("read", "/t/last").out.strip() in names


def test_a_directory_too_long_for_a_message_is_listed_whole(xs: Tools) -> None:
    """The library asks for it in parts (DIRECTORY_PART)."""
    names = [f"child-number-{number}" for number in range(1000)]
    for start in range(0, 1000, 100):
        words = [(f"/t/{name}", "") for name in names[start : start + 100]]
        assert xs("write", *(word for pair in words for word in pair)) == Ran()

    assert xs("list", "/t") == Ran(out="".join(f"{n}\n" for n in names).encode())
    assert xs("ls", "/t") == Ran(out="".join(f'{n} = ""\n' for n in names).encode())


@pytest.mark.parametrize("path", ["/t/", "", "/t//a", "/a b"])
def test_watch_of_what_is_no_path_fails(small: Tools, path: str) -> None:
    """With the path on a line, and an empty line."""
    what = b"xenstore-watch: Unable to add watch on " + path.encode() + b"\n\n"

    assert small("watch", "-n", "1", path) == Ran(1, err=what)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("write /t/new/x 1", b"/t/new/x\n"),
        ("rm /t/b", b"/t/b\n"),
        ("chmod /t/a r0", b"/t/a\n"),
    ],
)
def test_watch_prints_the_path_of_a_change(
    small: Tools, change: str, seen: bytes
) -> None:
    """Of values, of existence, of permissions, anywhere below."""
    with small.start("watch", "-n", "2", "/t") as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == b"/t\n"

        assert small(*change.split()) == Ran()

        assert watcher.communicate(timeout=PATIENCE_S) == (seen, b"")
        assert watcher.returncode == 0
