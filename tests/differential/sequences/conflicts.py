"""Every request in a transaction against every change outside that may matter."""

from typing import Final

from tests.differential.model import Sequence, sequence

_SETTING: Final = (
    "write /a; write /a/z x; write /a/n 1; write /a/n/k; 2 watch / w; start t"
)

_INSIDE: Final = {
    "nothing": "",
    "a read": "t: read /a/n",
    "a read of a missing node": "t: read /a/m",
    "a list": "t: ls /a/n",
    "a list of the parent": "t: ls /a",
    "permissions read": "t: get_perms /a/n",
    "a write": "t: write /a/n new",
    "a new node": "t: write /a/m new",
    "a mkdir of what exists": "t: mkdir /a/n",
    "a mkdir": "t: mkdir /a/m",
    "a removal": "t: rm /a/n",
    "a removal of nothing": "t: rm /a/m",
    "permissions set": "t: set_perms /a/n n0 r3",
    "a read far below": "t: read /a/m/o",
    "a new node with its parent": "t: write /a/m/o v",
    "a failing removal": "t: rm /a/m/o",
    "a new node below": "t: write /a/n/new v",
    "a child removed": "t: rm /a/n/k",
    "a removal and a write": "t: rm /a/n; t: write /a/n v",
    "a write and a removal": "t: write /a/m v; t: rm /a/m",
}

_OUTSIDE: Final = {
    "a write": "1 write /a/n x",
    "a write of an equal value": "1 write /a/n 1",
    "permissions": "1 set_perms /a/n n0 r4",
    "equal permissions": "1 set_perms /a/n n0",
    "a new child": "1 write /a/n/new",
    "a child removed": "1 rm /a/n/k",
    "a child written": "1 write /a/n/k x",
    "a removal": "1 rm /a/n",
    "a removal undone": "1 rm /a/n; 1 write /a/n 1; 1 write /a/n/k",
    "the parent written": "1 write /a x",
    "permissions of the parent": "1 set_perms /a n0 r4",
    "a new sibling": "1 write /a/s",
    "a sibling removed": "1 rm /a/z",
    "a sibling written": "1 write /a/z y",
    "the missing node made": "1 write /a/m",
    "the missing node made and removed": "1 write /a/m; 1 rm /a/m",
    "a node below the missing one": "1 write /a/m/o",
    "everything removed": "1 rm /a",
    "the root written": "1 write /",
    "a mkdir of what exists": "1 mkdir /a/n",
    "a removal of nothing": "1 rm /a/m",
    "something else": "1 write /c",
}

_END: Final = "commit t; ls /a; read /a/n; read /a/m; get_perms /a/n"


def _after(inside: str, outside: str) -> Sequence:
    return sequence(
        f"inside {inside}, then outside {outside}",
        *(_SETTING, _INSIDE[inside], _OUTSIDE[outside], _END),
    )


def _before(inside: str, outside: str) -> Sequence:
    return sequence(
        f"outside {outside}, then inside {inside}",
        *(_SETTING, _OUTSIDE[outside], _INSIDE[inside], _END),
    )


SEQUENCES: Final = tuple(
    make(inside, outside)
    for inside in _INSIDE
    for outside in _OUTSIDE
    for make in (_after, _before)
)
