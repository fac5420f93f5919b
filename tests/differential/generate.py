"""Sequences by chance, over few paths, so that requests meet each other.

A sequence is drawn as plain numbers and then given a meaning that fits what came
before it: which transactions are open, what was removed in them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, final

from hypothesis import strategies as st

from tests.differential.model import Client, Sequence, Step, c0, c1, c2

_CLIENTS: Final = (c0, c1, c2)
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

_SIMPLE: Final = {
    "read": Client.read,
    "rm": Client.rm,
    "mkdir": Client.mkdir,
    "ls": Client.ls,
    "get_perms": Client.get_perms,
}

Choice = tuple[int, str, int, int]
"""Connection, action, a path or another thing, and a transaction."""

_choices: Final = st.tuples(
    st.integers(0, len(_CLIENTS) - 1),
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
        client = _CLIENTS[number]
        mine = self._open.setdefault(number, [])
        if action == "start" and len(mine) < _OPEN_MAX:
            self._started += 1
            mine.append(f"t{self._started}")
            return client.start(mine[-1])
        if action in {"commit", "abort"} and mine:
            name = mine.pop(which % len(mine))
            return client.commit(name) if action == "commit" else client.abort(name)
        if action == "reset or close":
            mine.clear()
            return client.close() if thing % 2 else client.reset_watches()
        tx = mine[which % len(mine)] if mine and which > 0 else 0
        path = _DRAWN[thing % len(_DRAWN)]
        if action == "revive":
            # Else a removed node would seldom be made again in its transaction.
            path = self._removed.get(tx, "/a") + ("/b" if thing % 2 else "")
        elif action == "rm" and path != "/":
            self._removed[tx] = path
        return _on_a_path(client, action, path, thing // len(_DRAWN), tx)

    def rest(self) -> list[Step]:
        """Commits of all transactions that are still open."""
        return [
            _CLIENTS[number].commit(name)
            for number, names in self._open.items()
            for name in names
        ]


def _on_a_path(
    client: Client, action: str, path: str, other: int, tx: str | int
) -> Step:
    simple = _SIMPLE.get(action)
    if simple:
        return simple(client, path, tx=tx)
    if action == "part":
        return client.part(path, other, tx=tx)
    if action == "set_perms":
        return client.set_perms(path, *_LISTS[other % len(_LISTS)], tx=tx)
    if action in {"watch", "unwatch"}:
        token = _TOKENS[other % len(_TOKENS)]
        say = client.watch if action == "watch" else client.unwatch
        return say(path, token)
    return client.write(path, _VALUES[other % len(_VALUES)], tx=tx)


def _sequence(choices: list[Choice]) -> Sequence:
    author = _Author()
    steps = [author.step(choice) for choice in choices]
    everything = [
        ask(path) for path in _PATHS for ask in (c0.read, c0.ls, c0.get_perms)
    ]
    # Without these there would be little to remove, and few events to miss.
    begin = [
        c2.together(*[c2.write(path, path) for path in _LEAVES]),
        c2.watch("/", "all"),
        c1.watch("/a/b", "some"),
    ]
    return Sequence(
        "by chance", (*begin, *steps, *author.rest(), c0.together(*everything))
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
