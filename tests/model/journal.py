"""A store that remembers what it was asked, and is asked the same once more."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, final

from xsd.protocol.errors import XenStoreError
from xsd.protocol.perms import Caller
from xsd.store import Store, Transaction, Watch
from xsd.store.node import Node
from xsd.store.state import describe

KEPT: Final = frozenset(
    {
        *("read", "directory", "directory_part", "get_perms"),
        *("write", "mkdir", "rm", "set_perms"),
        *("start", "abort", "commit", "watch", "unwatch"),
        *("introduce", "release", "shut_down", "set_target", "set_quota"),
    }
)
"""Operations that are remembered: whatever may change something."""


@final
class Journal:
    """Stands in front of a store, and keeps the operations on it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._calls: list[tuple[str, tuple[object, ...], dict[str, object]]] = []
        self._opened: list[Transaction] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._keeping(name, found) if name in KEPT else found

    def _keeping(self, name: str, ask: Callable[..., object]) -> Callable[..., object]:
        def keep(*words: object, **more: object) -> object:
            self._calls.append((name, words, more))
            answer = ask(*words, **more)
            if isinstance(answer, Transaction):
                self._opened.append(answer)
            return answer

        return keep

    def freeze(self) -> Node:
        """Keep the present version of the tree, as a transaction does."""
        self._calls.append(("freeze", (), {}))
        return self._store.live.tree.freeze()

    def forget_last(self) -> None:
        """Forget the last operation."""
        self._calls.pop()

    @property
    def state(self) -> dict[str, object]:
        """The store's, as plain values."""
        return describe(self._store)

    def again(self) -> dict[str, object]:
        """Do the same on another store, and return the state of that."""
        store = Store()
        opened: list[Transaction] = []
        watches: dict[Watch, Watch] = {}

        def other(word: object) -> object:
            """The same thing of the other store."""
            if isinstance(word, Caller):
                return store.introduced(word.domid).caller
            if isinstance(word, Transaction):
                return opened[self._opened.index(word)]
            if isinstance(word, Watch):
                if word not in watches:
                    caller = store.introduced(word.caller.domid).caller
                    shown, token = word.shown, word.token
                    watches[word] = Watch(
                        word.connection, caller, word.path, shown, token, word.depth
                    )
                return watches[word]
            return word

        for name, words, more in self._calls:
            if name == "freeze":
                store.live.tree.freeze()
                continue
            with suppress(XenStoreError):
                answer = getattr(store, name)(*[other(word) for word in words], **more)
                if isinstance(answer, Transaction):
                    opened.append(answer)
        return describe(store)
