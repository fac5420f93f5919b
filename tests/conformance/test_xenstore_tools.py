"""Debian's xenstore-* programs: every option, exit status and output."""

from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.conformance.programs import PATIENCE_S, Ran, Tools

USAGES = {
    "read": b"[-h] [-p] [-s] [-R] key [...]",
    "write": b"[-h] [-s] [-R] key value [...]",
    "list": b"[-h] [-p] [-s] key [...]",
    "ls": b"[-h] [-f] [-p] [-s] [path]",
    "exists": b"[-h] [-p] [-s] key [...]",
    "rm": b"[-h] [-s] [-t] key [...]",
    "chmod": b"[-h] [-u] [-r] [-s] key <mode [modes...]>",
    "watch": b"[-h] [-n NR] key",
}

NO_DIRECTORY = b"No such file or directory"


def misused(mode: str) -> Ran:
    """What a program says when it is used wrongly or asked for help."""
    name = b"xenstore-" + mode.encode()
    return Ran(1, err=name + b": Usage: " + name + b" " + USAGES[mode] + b"\n")


def failed(mode: str, what: bytes, out: bytes = b"") -> Ran:
    """What a program says when the daemon has refused it something."""
    return Ran(1, out, b"xenstore-" + mode.encode() + b": " + what + b"\n")


@pytest.fixture
def small(xs: Tools) -> Tools:
    """The programs on a store with /t and two nodes below it."""
    assert xs("write", "/t/a", "1", "/t/b/c", "2") == Ran()
    return xs


# Command lines that make no request, or ought not to.


@pytest.mark.parametrize("mode", list(USAGES))
def test_help_is_the_usage_with_status_1(xs: Tools, mode: str) -> None:
    """-h is no request: no daemon can change this, so it shows the programs work."""
    assert xs(mode, "-h") == misused(mode)


@pytest.mark.parametrize("mode", [mode for mode in USAGES if mode != "ls"])
def test_a_program_without_words_prints_its_usage(xs: Tools, mode: str) -> None:
    """All but xenstore-ls want a path."""
    assert xs(mode) == misused(mode)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("write", ["/t"]),
        ("write", ["/t", "1", "/u"]),
        ("exists", ["-p", "/t"]),
        ("ls", ["-R", "/t"]),
        ("list", ["-f", "/t"]),
        ("read", ["-n", "3", "/t"]),
        ("rm", ["-p", "/t"]),
        ("chmod", ["-t", "/t", "n0"]),
    ],
)
def test_an_option_of_another_program_prints_the_usage(
    xs: Tools, mode: str, words: list[str]
) -> None:
    """And nothing has been asked of the daemon before that."""
    assert xs(mode, *words) == misused(mode)
    assert xs("exists", "/t") == Ran(1)


def test_one_program_does_the_work_of_all(small: Tools) -> None:
    """`xenstore read` is xenstore-read."""
    program = small.path("read").removesuffix("-read")

    assert small.run(program, "read", "/t/a") == Ran(out=b"1\n")
    assert small.run(program, "ls", "/t/b") == Ran(out=b'c = "2"\n')
    assert small.run(program, "rm", "/t/b") == Ran()
    assert small.run(program, "exists", "/t/b") == Ran(1)
    assert small.run(program, "unknown").code == 1


# read


def test_read_prints_values_in_the_order_of_its_words(small: Tools) -> None:
    """One line each; -s has no effect; -p shows the paths."""
    assert small("read", "/t/b/c", "/t/a", "/t/b") == Ran(out=b"2\n1\n\n")
    assert small("read", "-s", "/t/a") == Ran(out=b"1\n")
    assert small("read", "-p", "/t/a", "/t/b/c") == Ran(out=b"/t/a: 1\n/t/b/c: 2\n")
    assert small("read", "--prefix", "/t/a") == Ran(out=b"/t/a: 1\n")


def test_read_ends_at_the_first_path_that_cannot_be_read(small: Tools) -> None:
    """With status 1, after what it could read."""
    assert small("read", "/t/a", "/none", "/t/b/c") == failed(
        "read", b"couldn't read path /none", b"1\n"
    )


@pytest.mark.parametrize(
    "path", ["", "/t/", "/t//a", "//t", "/t/a b", "/t/\xfc", "@releaseDomain"]
)
def test_read_of_a_path_that_is_none_fails(small: Tools, path: str) -> None:
    """Empty, with a slash too many, with characters that are not allowed."""
    what = b"couldn't read path " + path.encode()

    assert small("read", path) == failed("read", what)


def test_read_shows_bytes_that_cannot_be_printed_as_escapes(xs: Tools) -> None:
    r"""-R prints them as they are, without a newline; write takes \ooo, \xhh, \t."""
    value = b'a\x01\xc3\xbc\n"\\\\'
    assert xs("write", "/t", value, "/u", rb"a\x00b\tc\101") == Ran()

    assert xs("read", "/t", "/u") == Ran(
        out=rb'a\001\xc3\xbc\n"\\' + b"\n" + rb"a\000b\tcA" + b"\n"
    )
    assert xs("read", "-R", "/t") == Ran(out=b'a\x01\xc3\xbc\n"\\')
    assert xs("read", "--raw", "/u") == Ran(out=b"a\0b\tcA")


def test_relative_paths_begin_at_domain_0(xs: Tools) -> None:
    """A socket's client is the control domain."""
    assert xs("write", "rel/x", "1") == Ran()

    assert xs("read", "/local/domain/0/rel/x", "rel/x") == Ran(out=b"1\n1\n")
    assert xs("ls", "rel") == Ran(out=b'x = "1"\n')
    assert xs("watch", "-n", "1", "rel/x") == Ran(out=b"rel/x\n")
    assert xs("rm", "rel/x") == Ran()
    assert xs("list", "rel") == Ran()


# write


def test_write_makes_the_nodes_above(xs: Tools) -> None:
    """With empty values; the children keep the order of their making."""
    assert xs("write", "/t/z/y", "1", "/t/a", "", "-s", "/t/z/b", "3") == Ran()

    assert xs("ls", "/t") == Ran(out=b'z = ""\n y = "1"\n b = "3"\na = ""\n')


def test_write_takes_bytes_as_they_are_with_raw(xs: Tools) -> None:
    """-R: a backslash is a backslash."""
    assert xs("write", "-R", "/t", rb"a\x00b") == Ran()

    assert xs("read", "-R", "/t") == Ran(out=rb"a\x00b")
    assert xs("ls") == Ran(out=b'tool = ""\n xenstored = ""\nt = "a\\\\x00b"\n')


def test_write_of_several_nodes_happens_whole_or_not_at_all(small: Tools) -> None:
    """It is a transaction: the refusal of the second undoes the first."""
    assert small("write", "/t/a", "9", "/t/b d", "1") == failed(
        "write", b"could not write path /t/b d"
    )
    assert small("read", "/t/a") == Ran(out=b"1\n")


def test_a_value_may_fill_a_message_and_no_more(xs: Tools) -> None:
    """4,096 bytes less the path and its NUL: 4,093 for /t."""
    assert xs("write", "/t", "x" * 4093) == Ran()
    assert xs("read", "/t") == Ran(out=b"x" * 4093 + b"\n")
    assert xs("write", "/t", "y" * 4094) == failed("write", b"could not write path /t")
    assert xs("read", "/t") == Ran(out=b"x" * 4093 + b"\n")


def test_programs_that_write_at_once_all_succeed(xs: Tools) -> None:
    """Each repeats its transaction until nobody has come between."""
    with ExitStack() as held:
        writers = [
            held.enter_context(
                xs.start("write", "/t/last", str(number), f"/t/{number}", "x")
            )
            for number in range(10)
        ]
        ends = [writer.communicate(timeout=PATIENCE_S) for writer in writers]

    assert ends == [(b"", b"")] * 10
    assert [writer.returncode for writer in writers] == [0] * 10
    names = xs("list", "/t").out.split()
    assert sorted(names) == sorted([b"last", *(b"%d" % n for n in range(10))])
    assert xs("read", "/t/last").out.strip() in names


# list


def test_list_prints_the_children_in_order_of_their_making(small: Tools) -> None:
    """-p with the path in front; no children, no output."""
    assert small("list", "/t") == Ran(out=b"a\nb\n")
    assert small("list", "-s", "/t") == Ran(out=b"a\nb\n")
    assert small("list", "-p", "/t", "/t/b") == Ran(out=b"/t/a\n/t/b\n/t/b/c\n")
    assert small("list", "--prefix", "/t/b") == Ran(out=b"/t/b/c\n")
    assert small("list", "/t/a") == Ran()


def test_list_of_a_missing_node_fails(small: Tools) -> None:
    """After what came before it."""
    assert small("list", "/t", "/none", "/t") == failed(
        "list", b"could not list path /none", b"a\nb\n"
    )


def test_a_directory_too_long_for_a_message_is_listed_whole(xs: Tools) -> None:
    """The library asks for it in parts (DIRECTORY_PART)."""
    names = [f"child-number-{number}" for number in range(1000)]
    for start in range(0, 1000, 100):
        words = [(f"/t/{name}", "") for name in names[start : start + 100]]
        assert xs("write", *(word for pair in words for word in pair)) == Ran()

    assert xs("list", "/t") == Ran(out="".join(f"{n}\n" for n in names).encode())
    assert xs("ls", "/t") == Ran(out="".join(f'{n} = ""\n' for n in names).encode())


# exists


@pytest.mark.parametrize(
    ("paths", "status"),
    [
        (["/t/a"], 0),
        (["-s", "/t/a", "/t/b/c", "/"], 0),
        (["/none"], 1),
        (["/t/a", "/none"], 1),
        (["/t/"], 1),
        (["@releaseDomain"], 1),
    ],
)
def test_exists_tells_by_its_status_alone(
    small: Tools, paths: list[str], status: int
) -> None:
    """0 if all of the nodes are there."""
    assert small("exists", *paths) == Ran(status)


# ls


def test_ls_draws_the_tree_below_a_node(small: Tools) -> None:
    """Indented by a blank for each level; without a path it is the root's."""
    below = b'a = "1"\nb = ""\n c = "2"\n'

    assert small("ls", "/t") == Ran(out=below)
    assert small("ls", "-s", "/t") == Ran(out=below)
    assert small("ls") == Ran(
        out=b'tool = ""\n xenstored = ""\nt = ""\n a = "1"\n b = ""\n  c = "2"\n'
    )
    assert small("ls", "/t/b", "/tool") == Ran(out=b'c = "2"\nxenstored = ""\n')
    assert small("ls", "/t/a") == Ran()


@pytest.mark.parametrize("option", ["-f", "--flat"])
def test_ls_shows_whole_paths_with_flat(small: Tools, option: str) -> None:
    """One path a line."""
    assert small("ls", option, "/t") == Ran(
        out=b'/t/a = "1"\n/t/b = ""\n/t/b/c = "2"\n'
    )


def test_ls_shows_permissions_with_p(small: Tools) -> None:
    """In a column of their own with dots before it, or after the value with -f."""
    assert small("chmod", "/t/b", "n0", "r5", "w6") == Ran()

    assert small("ls", "-p", "/t") == Ran(
        out=b'a = "1"  . . . . . . . . . . . . . . . . . . . . . . . . . .  (n0)\n'
        b'b = "" . . . . . . . . . . . . . . . . . . . . . . . . . . .  (n0,r5,w6)\n'
        b' c = "2" . . . . . . . . . . . . . . . . . . . . . . . . . .  (n0)\n'
    )
    assert small("ls", "-fp", "/t") == Ran(
        out=b'/t/a = "1"   (n0)\n/t/b = ""   (n0,r5,w6)\n/t/b/c = "2"   (n0)\n'
    )


def test_ls_cuts_long_values_at_80_columns(xs: Tools) -> None:
    """Unless -f is given."""
    assert xs("write", "/t/long", "x" * 200) == Ran()

    assert xs("ls", "/t") == Ran(out=b'long = "' + b"x" * 68 + b'\\..."\n')
    assert xs("ls", "-p", "/t") == Ran(out=b'long = "' + b"x" * 68 + b'\\..."  (n0)\n')
    assert xs("ls", "-f", "/t") == Ran(out=b'/t/long = "' + b"x" * 200 + b'"\n')


@pytest.mark.parametrize(
    ("path", "why"),
    [("/none", NO_DIRECTORY), ("/t/", b"Invalid argument"), ("", b"Invalid argument")],
)
def test_ls_of_what_is_no_node_fails(small: Tools, path: str, why: bytes) -> None:
    """With the reason that the daemon gives, after what came before."""
    what = b"xs_directory (" + path.encode() + b"): " + why

    assert small("ls", "/t/b", path) == failed("ls", what, b'c = "2"\n')


# rm


def test_rm_removes_nodes_with_all_below(small: Tools) -> None:
    """A missing node is as good as a removed one, if its parent is there."""
    assert small("rm", "-s", "/t/b", "/t/none") == Ran()

    assert small("ls", "/t") == Ran(out=b'a = "1"\n')


@pytest.mark.parametrize("path", ["/none/none", "/", "/t/", "@releaseDomain"])
def test_rm_of_what_cannot_be_removed_fails(small: Tools, path: str) -> None:
    """It is a transaction: what came before stays, too."""
    what = b"could not remove path " + path.encode()

    assert small("rm", "/t/a", path) == failed("rm", what)
    assert small("exists", "/t/a") == Ran()


@pytest.mark.parametrize("option", ["-t", "--tidy"])
def test_rm_removes_nodes_above_that_it_leaves_empty(xs: Tools, option: str) -> None:
    """Those without value and children, up to the first that has one."""
    assert xs("write", "/t/x/y/z", "1", "/t/x/k", "1", "/u/v/w", "1") == Ran()

    assert xs("rm", option, "/t/x/y/z", "/u/v/w") == Ran()

    assert xs("ls") == Ran(
        out=b'tool = ""\n xenstored = ""\nt = ""\n x = ""\n  k = "1"\n'
    )


# chmod


def test_chmod_sets_permissions_of_one_node(small: Tools) -> None:
    """All letters, any number; a domain that is not there may get rights."""
    assert small("chmod", "/t/b", "b0", "r1", "w2", "n3", "b4", "r77", "r5") == Ran()
    assert small("chmod", "-s", "/t/a", "r0") == Ran()

    assert small("ls", "-fp", "/t") == Ran(
        out=b'/t/a = "1"   (r0)\n/t/b = ""   (b0,r1,w2,n3,b4,r77,r5)\n'
        b'/t/b/c = "2"   (n0)\n'
    )


def test_chmod_takes_a_missing_number_for_0(small: Tools) -> None:
    """The library does; the daemon gets `n0` and `r0`."""
    assert small("chmod", "/t/a", "n", "rx") == Ran()

    assert small("ls", "-fp", "/t").out.startswith(b'/t/a = "1"   (n0,r0)\n')


@pytest.mark.parametrize("option", ["-r", "--recurse"])
def test_chmod_sets_permissions_of_all_below(small: Tools, option: str) -> None:
    """The node's own too."""
    assert small("chmod", option, "/t/b", "n0", "r5") == Ran()

    assert small("ls", "-fp", "/t") == Ran(
        out=b'/t/a = "1"   (n0)\n/t/b = ""   (n0,r5)\n/t/b/c = "2"   (n0,r5)\n'
    )


@pytest.mark.parametrize("option", ["-u", "--upto"])
def test_chmod_sets_permissions_of_all_above(small: Tools, option: str) -> None:
    """Up to the root, without it; new nodes inherit them."""
    assert small("chmod", option, "/t/b/c", "n0", "w7") == Ran()
    assert small("write", "/t/n", "") == Ran()
    assert small("write", "/n", "") == Ran()

    assert small("ls", "-fp") == Ran(
        out=b'/tool = ""   (n0)\n/tool/xenstored = ""   (n0)\n'
        b'/t = ""   (n0,w7)\n/t/a = "1"   (n0)\n/t/b = ""   (n0,w7)\n'
        b'/t/b/c = "2"   (n0,w7)\n/t/n = ""   (n0,w7)\n/n = ""   (n0)\n'
    )


def test_chmod_goes_up_and_down_at_once(small: Tools) -> None:
    """-r -u."""
    assert small("chmod", "-r", "-u", "/t/b", "n0", "b3") == Ran()

    assert small("ls", "-fp", "/t") == Ran(
        out=b'/t/a = "1"   (n0)\n/t/b = ""   (n0,b3)\n/t/b/c = "2"   (n0,b3)\n'
    )


@pytest.mark.parametrize(
    ("path", "mode", "why"),
    [
        ("/t/none", "n0", NO_DIRECTORY),
        ("/t/b", "n77", NO_DIRECTORY),
        ("/t/b", "n-1", NO_DIRECTORY),
        ("/t/", "n0", b"Invalid argument"),
    ],
)
@pytest.mark.parametrize("options", [[], ["-r"], ["-u"]])
def test_chmod_tells_why_it_was_refused(
    small: Tools, options: list[str], path: str, mode: str, why: bytes
) -> None:
    """The owner must exist, and so must the node."""
    what = b"Error occurred setting permissions on '" + path.encode() + b"': " + why

    assert small("chmod", *options, path, mode) == failed("chmod", what)


def test_chmod_with_no_or_wrong_permissions_is_refused(small: Tools) -> None:
    """The first by the daemon, the second by the program."""
    assert small("chmod", "/t/a") == failed(
        "chmod", b"Error occurred setting permissions on '/t/a': Invalid argument"
    )
    assert small("chmod", "/t/a", "x0") == failed(
        "chmod", b"Invalid permission specification: 'x'"
    )


# watch


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["-n", "1", "/t"], b"/t\n"),
        (["--number=1", "/none/at/all"], b"/none/at/all\n"),
        (["-n", "2", "/t", "/t/a"], b"/t\n/t/a\n"),
        (["-n", "1", "/"], b"/\n"),
        (["-n", "1", "@releaseDomain"], b"@releaseDomain\n"),
        (["-n", "1", "@introduceDomain"], b"@introduceDomain\n"),
        (["-n", "0", "/t"], b""),
    ],
)
def test_watch_is_told_of_each_path_at_once(
    small: Tools, words: list[str], out: bytes
) -> None:
    """Whether or not there is a node; -n ends it after so many events."""
    assert small("watch", *words) == Ran(out=out)


@pytest.mark.parametrize("path", ["/t/", "", "/t//a", "/a b"])
def test_watch_of_what_is_no_path_fails(small: Tools, path: str) -> None:
    """With the path on a line, and an empty line."""
    what = b"Unable to add watch on " + path.encode() + b"\n"

    assert small("watch", "-n", "1", path) == failed("watch", what)


def written(small: Tools) -> Ran:
    return small("write", "/t/new/x", "1")


def removed(small: Tools) -> Ran:
    return small("rm", "/t/b")


def permitted(small: Tools) -> Ran:
    return small("chmod", "/t/a", "r0")


@pytest.mark.parametrize(
    ("change", "seen"),
    [(written, b"/t/new/x\n"), (removed, b"/t/b\n"), (permitted, b"/t/a\n")],
)
def test_watch_prints_the_path_of_a_change(
    small: Tools, change: Callable[[Tools], Ran], seen: bytes
) -> None:
    """Of values, of existence, of permissions, anywhere below."""
    with small.start("watch", "-n", "2", "/t") as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == b"/t\n"

        assert change(small) == Ran()

        assert watcher.communicate(timeout=PATIENCE_S) == (seen, b"")
        assert watcher.returncode == 0
