"""Order of names, lists that are too long, and their parts."""

from typing import Final

from tests.differential.model import Sequence, Step, c0, c1, sequence

_OFFSETS: Final = (
    *(b"0", b"", b"x", b"3", b"5", b"6", b"12", b"17", b"18", b"19", b"1000"),
    *(b"-1", b"6abc", b" 6", b"+6", b"0x6", b"06", b"-6", b"- 6"),
    *(b"4294967296", b"4294967302", b"99999999999999999999", b"2147483648"),
    b"-4294967290",
)

_GENERATION_DIGITS: Final = 6
"""Enough that both daemons have the same room for names whatever they counted."""


def _fill(path: str, count: int, letters: int) -> list[Step]:
    """Names of a number and letters, all of the same length."""
    return [c0.write(f"{path}/{n:02}{'x' * (letters - 2)}") for n in range(count)]


def _list_of(length: int) -> Sequence:
    """A directory whose names and NULs have this many bytes."""
    last = length - 4000 - 1
    return sequence(
        f"a list of names of {length} bytes",
        *_fill("/d", 40, 99),
        c0.write("/d/" + "z" * last),
        c0.ls("/d"),
        c0.part("/d", 0),
        c0.part("/d", 4000 - 100),
        c0.part("/d", 4000),
        c0.part("/d", length - 1),
        c0.part("/d", length),
        c0.part("/d", length + 1),
    )


SEQUENCES: Final = (
    sequence(
        "names come in the order of making",
        c0.write("/d/z"),
        c0.write("/d/a"),
        c0.write("/d/m"),
        c0.ls("/d"),
        c0.rm("/d/a"),
        c0.ls("/d"),
        c0.write("/d/a"),
        c0.ls("/d"),
        c0.write("/d/z", "again"),
        c0.mkdir("/d/m"),
        c0.set_perms("/d/z", "n0", "r1"),
        c0.ls("/d"),
    ),
    sequence(
        "order of names after a commit",
        c0.write("/d/one"),
        c0.start("t"),
        c0.write("/d/three", tx="t"),
        c0.write("/d/two", tx="t"),
        c0.rm("/d/one", tx="t"),
        c0.write("/d/one", tx="t"),
        c0.ls("/d", tx="t"),
        c0.commit("t"),
        c0.ls("/d"),
        c0.part("/d", 0),
    ),
    sequence(
        "offsets of a part, as atoi reads them",
        *[c0.write(f"/d/name{n}") for n in range(3)],
        *[c0.part("/d", offset) for offset in _OFFSETS],
    ),
    sequence(
        "parts of a node without children and of none",
        c0.write("/d"),
        c0.part("/d", 0),
        c0.part("/d", 1),
        c0.part("/missing", 0),
        c0.part("/missing/deeper", 0),
        c0.part("/d/", 0),
        c0.part("", 0),
        c0.part("@releaseDomain", 0),
        c0.part("/", 0),
        c0.part("/", 2),
    ),
    sequence(
        "payloads of DIRECTORY_PART that are no two strings",
        c0.write("/d/a"),
        *[
            c0.request(22, payload)
            for payload in (b"", b"/d", b"/d\0", b"/d\0000", b"/d\0000\0x\0")
        ],
        c0.request(22, b"/d\0000\0x"),
        c0.request(22, b"/d\0\0"),
    ),
    sequence(
        "the generation changes with the node, not with what is below",
        c0.write("/d/a"),
        c0.write("/d/b"),
        c0.part("/d", 0),
        c0.part("/d", 0),
        c0.write("/d/a", "value"),
        c0.part("/d", 0),
        c0.write("/d/a/below"),
        c0.part("/d", 0),
        c0.part("/d/a", 0),
        c0.write("/d", "value"),
        c0.part("/d", 0),
        c0.set_perms("/d", "n0", "r1"),
        c0.part("/d", 0),
        c0.write("/d/c"),
        c0.part("/d", 0),
        c0.rm("/d/a"),
        c0.part("/d", 0),
        c0.rm("/d/a"),
        c0.mkdir("/d/b"),
        c0.part("/d", 0),
        c0.rm("/d"),
        c0.write("/d/b"),
        c0.part("/d", 0),
    ),
    sequence(
        "a part inside a transaction shows the transaction's names",
        c0.write("/d/a"),
        c0.start("t"),
        c0.part("/d", 0, tx="t"),
        c0.write("/d/b", tx="t"),
        c0.part("/d", 0, tx="t"),
        c0.part("/d", 0),
        c0.part("/d", 2, tx="t"),
        c0.abort("t"),
        c0.part("/d", 0),
    ),
    sequence(
        "a long list is read in parts",
        *_fill("/d", 60, 99),
        c0.ls("/d"),
        c0.part("/d", 0),
        c0.part("/d", 4000),
        c0.part("/d", 6000),
        c0.part("/d", 50),
        c1.part("/d", 2050),
    ),
    *[_list_of(length) for length in (4010, 4080, 4095, 4096, 4097, 4200)],
)
