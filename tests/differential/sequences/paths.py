"""What is a path, how long may it be, and payloads that are not well formed."""

from typing import Final

from tests.differential.model import Sequence, Step, ask, said, scripts, sequence

_ONE_PATH: Final = ("READ", "DIRECTORY", "GET_PERMS", "MKDIR", "RM")
_PAYLOADS: Final = (b"", b"/a", b"/a\0x", b"/a\0x\0", b"\0", b"/a\0\0", b"/a\0\0\0")
_BAD_PATHS: Final = (
    *(b"/a/", b"//", b"/a//b", b"/a b", b"/a.b", b"/a:b", b"/a\x80", b"/a\n", b"a/"),
    *(b"a//b", b"..", b"@x", b"@introduceDomain", b"/local/domain/"),
)
_ODD_PATHS: Final = ("/@", "/a/@x", "/-", "/_/A-Z_0@", "0", "-", "/a/b/c/d/e/f")


def _malformed(op: str) -> Sequence:
    """A missing node is read before each, so that 4.17 has an errno to tell."""
    missing = said("read /missing")
    return sequence(
        f"{op} with payloads that are not one string",
        "write /a 1",
        *[step for payload in _PAYLOADS for step in (missing, ask(0, op, payload))],
        "read /a",
    )


def _bad_paths(op: str) -> Sequence:
    asked = [ask(0, op, path + b"\0") for path in _BAD_PATHS]
    return sequence(f"{op} of what is no path", "write /a 1", *asked)


def _odd_paths(op: str) -> Sequence:
    steps: list[Step | str] = []
    for path in _ODD_PATHS:
        asked = ask(0, op, f"{path}\0")
        steps += [asked, f"write {path} v", asked, f"rm {path}", asked]
    return sequence(f"{op} of odd paths", *steps)


def _long(length: int) -> Sequence:
    path = f"/a/{'x' * (length - 3)}"
    return sequence(
        f"paths of {length} bytes",
        f"read /{'x' * (length - 1)}; write {path} v; read {path}",
        f"mkdir /a/{'y' * (length - 3)}; watch {path} t; unwatch {path} t; rm {path}",
        f"read {'x' * length}; read /local/domain/12345/{'x' * length}",
    )


_SCRIPTS: Final = rf"""
WRITE with payloads that have no NUL or no path
    write /a 1; WRITE; WRITE /a; write ''; write '' v; write '' \0; read /a
relative paths are below /local/domain/0
    write x 1; read /local/domain/0/x; ls /local/domain; write /local/domain/0/y/z 2
    read y/z; ls y; rm y; rm y/z; ls /local/domain/0; get_perms x; set_perms x n0 r1
    get_perms /local/domain/0/x
a path of 2049 bytes is written
    write /{"x" * 2048} v
a path of 2049 bytes is watched
    watch /{"x" * 2048} v
a path of 2049 bytes is made
    mkdir /{"x" * 2048}
a path of 2049 bytes is removed
    rm /{"x" * 2048}
unwatch of long paths that nobody watches
    unwatch /{"x" * 2047} t; unwatch /{"x" * 2048} t; unwatch /{"x" * 4000} t
the largest value that fits beside its path
    write /v {"x" * 4092}; read /v; write /v {"x" * 4093}; read /v; 1 watch / w
    write /long-name-of-a-node {"x" * 4075}; read /long-name-of-a-node
"""

SEQUENCES: Final = (
    *[_malformed(op) for op in _ONE_PATH],
    *[_bad_paths(op) for op in _ONE_PATH],
    *[_odd_paths(op) for op in _ONE_PATH],
    *scripts(_SCRIPTS),
    sequence(
        "WRITE of what is no path",
        *[ask(0, "write", path, "v") for path in _BAD_PATHS],
        "ls /",
    ),
    sequence(
        "values keep every byte",
        r"write /a a\0b\0; read /a; write /a \0; read /a",
        *(ask(0, "write", "/a", bytes(range(256))), "read /a; write /a; read /a"),
    ),
    *[_long(length) for length in (2046, 2047, 2048)],
    *[
        sequence(f"a path of {length} bytes is read", f"read /{'x' * length}")
        for length in (2048, 2049, 3072, 4000)
    ],
)
