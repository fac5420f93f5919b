"""Order of names, lists that are too long, and their parts."""

from typing import Final

from tests.differential.model import Sequence, ask, scripts, sequence

_OFFSETS: Final = (
    *(b"0", b"", b"x", b"3", b"5", b"6", b"12", b"17", b"18", b"19", b"1000"),
    *(b"-1", b"6abc", b" 6", b"+6", b"0x6", b"06", b"-6", b"- 6"),
    *(b"4294967296", b"4294967302", b"99999999999999999999", b"2147483648"),
    b"-4294967290",
)


def _fill(count: int) -> str:
    """Names of a number and letters, all of 99 bytes."""
    return "; ".join(f"write /d/{n:02}{'x' * 97}" for n in range(count))


def _list_of(length: int) -> Sequence:
    """A directory whose names and NULs have this many bytes."""
    return sequence(
        f"a list of names of {length} bytes",
        _fill(40),
        f"write /d/{'z' * (length - 4000 - 1)}; ls /d; part /d 0; part /d 3900",
        f"part /d 4000; part /d {length - 1}; part /d {length}; part /d {length + 1}",
    )


_SCRIPTS: Final = r"""
names come in the order of making
    write /d/z; write /d/a; write /d/m; ls /d; rm /d/a; ls /d; write /d/a; ls /d
    write /d/z again; mkdir /d/m; set_perms /d/z n0 r1; ls /d
order of names after a commit
    write /d/one; start t; t: write /d/three; t: write /d/two; t: rm /d/one
    t: write /d/one; t: ls /d; commit t; ls /d; part /d 0
parts of a node without children and of none
    write /d; part /d 0; part /d 1; part /missing 0; part /missing/deeper 0; part /d/ 0
    part '' 0; part @releaseDomain 0; part / 0; part / 2
payloads of DIRECTORY_PART that are no two strings
    write /d/a; DIRECTORY_PART; DIRECTORY_PART /d; part /d; DIRECTORY_PART /d\x000
    part /d 0 x; DIRECTORY_PART /d\x000\0x; part /d ''
the generation changes with the node, not with what is below
    write /d/a; write /d/b; part /d 0; part /d 0; write /d/a value; part /d 0
    write /d/a/below; part /d 0; part /d/a 0; write /d value; part /d 0
    set_perms /d n0 r1; part /d 0; write /d/c; part /d 0; rm /d/a; part /d 0; rm /d/a
    mkdir /d/b; part /d 0; rm /d; write /d/b; part /d 0
a part inside a transaction shows the transaction's names
    write /d/a; start t; t: part /d 0; t: write /d/b; t: part /d 0; part /d 0
    t: part /d 2; abort t; part /d 0
"""

SEQUENCES: Final = (
    *scripts(_SCRIPTS),
    sequence(
        "offsets of a part, as atoi reads them",
        "write /d/name0; write /d/name1; write /d/name2",
        *[ask(0, "part", "/d", offset) for offset in _OFFSETS],
    ),
    sequence(
        "a long list is read in parts",
        _fill(60),
        "ls /d; part /d 0; part /d 4000; part /d 6000; part /d 50; 1 part /d 2050",
    ),
    *[_list_of(length) for length in (4010, 4080, 4095, 4096, 4097, 4200)],
)
