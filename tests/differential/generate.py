"""Sequences by chance, over few paths, so that requests meet each other.

A sequence is drawn as plain numbers and then given a meaning that fits what came
before it: which transactions are open, what was removed in them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, final

from hypothesis import strategies as st

from tests.differential.model import Sequence, Step, ask, script, together

_CLIENTS: Final = 3
_PATHS: Final = (
    *("/a", "/a/b", "/a/b/c", "/a/b/c/d", "/a/b/e", "/a/f", "/a/f/b"),
    *("/g", "/g/b", "h", "/local/domain/0/h/i", "/"),
)
_LEAVES: Final = ("/a/b/c/d", "/a/b/e", "/a/f", "/g/b", "h", "/a/b/c")
# Where transactions shall meet, and remove what they then make again.
_DRAWN: Final = (*_PATHS, *["/a/b"] * 5, *["/a/b/c"] * 3)
_VALUES: Final = ("1", "", "2", "1")
_LISTS: Final = (("n0",), ("n0", "r5"), ("r0",), ("b0", "w3"))
_TOKENS: Final = ("t", "u", "t", "v")
_OPEN_MAX: Final = 2
_LENGTH_MIN: Final = 30
_LENGTH_MAX: Final = 60

# An action stands here as often as it shall come up.
_ACTIONS: Final = (
    *["write"] * 7,
    *["read"] * 3,
    *["rm"] * 4,
    *["revive"] * 4,
    *["mkdir"] * 2,
    *["ls"] * 2,
    "get_perms",
    *["set_perms"] * 2,
    *["start"] * 9,
    *["commit"] * 2,
    "abort",
    *["watch"] * 4,
    "unwatch",
    "part",
    "reset or close",
)

Choice = tuple[int, str, int, int]
"""Connection, action, a path or another thing, and a transaction."""

_choices: Final = st.tuples(
    st.integers(0, _CLIENTS - 1),
    st.sampled_from(_ACTIONS),
    st.integers(0, len(_DRAWN) * len(_VALUES) - 1),
    st.integers(0, 4 * _OPEN_MAX - 1),
)


@final
class _Author:
    """Gives choices a meaning; knows which transactions are open."""

    def __init__(self) -> None:
        self._open: dict[int, list[str]] = {}
        self._started = 0
        self._removed: dict[str | int, str] = {}

    def step(self, choice: Choice) -> Step:
        """The step that a choice stands for."""
        number, action, thing, which = choice
        mine = self._open.setdefault(number, [])
        if action == "start" and len(mine) < _OPEN_MAX:
            self._started += 1
            mine.append(f"t{self._started}")
            return ask(number, "start", mine[-1])
        if action in {"commit", "abort"} and mine:
            return ask(number, action, mine.pop(which % len(mine)))
        if action == "reset or close":
            mine.clear()
            return ask(number, *(["close"] if thing % 2 else ["RESET_WATCHES", "\0"]))
        tx = mine[which % len(mine)] if mine and which > 0 else 0
        path = _DRAWN[thing % len(_DRAWN)]
        if action == "revive":
            # Else a removed node would seldom be made again in its transaction.
            path = self._removed.get(tx, "/a") + ("/b" if thing % 2 else "")
        elif action == "rm" and path != "/":
            self._removed[tx] = path
        return _on_a_path(number, action, path, thing // len(_DRAWN), tx)

    def rest(self) -> list[Step]:
        """Commits of all transactions that are still open."""
        return [
            ask(number, "commit", name)
            for number, names in self._open.items()
            for name in names
        ]


def _on_a_path(number: int, action: str, path: str, other: int, tx: str | int) -> Step:
    if action in {"watch", "unwatch"}:
        return ask(number, action, path, _TOKENS[other % len(_TOKENS)])
    words: tuple[str, ...] = ()
    if action == "part":
        words = (str(other),)
    elif action == "set_perms":
        words = _LISTS[other % len(_LISTS)]
    elif action in {"write", "start", "commit", "abort", "revive"}:
        action, words = "write", (_VALUES[other % len(_VALUES)],)
    return ask(number, action, path, *words, tx=tx)


def _sequence(choices: list[Choice]) -> Sequence:
    author = _Author()
    steps = [author.step(choice) for choice in choices]
    everything = [
        ask(0, verb, path) for path in _PATHS for verb in ("read", "ls", "get_perms")
    ]
    # Without these there would be little to remove, and few events to miss.
    begin = [
        together(*[ask(2, "write", path, path) for path in _LEAVES]),
        *script("2 watch / all; 1 watch /a/b some"),
    ]
    return Sequence(
        "by chance", (*begin, *steps, *author.rest(), together(*everything))
    )


def sequences() -> st.SearchStrategy[Sequence]:
    """Sequences after which everything is read."""
    return st.lists(_choices, min_size=_LENGTH_MIN, max_size=_LENGTH_MAX).map(_sequence)


def minimal(sequence: Sequence, fails: Callable[[Sequence], bool]) -> Sequence:
    """Leave out steps as long as what is left still fails.

    Args:
        sequence: One that fails.
        fails: Runs a sequence.

    Returns:
        One from which no single step can be left out.
    """
    size = len(sequence.steps) // 2
    while size:
        at = 0
        while at < len(sequence.steps):
            rest = sequence.steps[:at] + sequence.steps[at + size :]
            shorter = replace(sequence, steps=rest)
            if fails(shorter):
                sequence = shorter
            else:
                at += size
        size //= 2
    return sequence
