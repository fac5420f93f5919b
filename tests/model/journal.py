"""A store that remembers what it was asked, and is asked the same once more."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, final

from xsd.protocol.errors import XenStoreError
from xsd.protocol.perms import Caller
from xsd.store import Store, Transaction, Watch
from xsd.store.node import Node
from xsd.store.state import describe

Call = tuple[str, tuple[object, ...], dict[str, object], tuple[object, ...]]

_FREEZE: Final = "freeze"


@final
class Looking:
    """A view of a store; looking may change what a transaction relies on."""

    def __init__(self, journal: "Journal", transaction: Transaction | None) -> None:
        self._journal = journal
        self._transaction = transaction

    def __getattr__(self, name: str) -> Any:
        view = self._journal.store.view(self._transaction)
        return self._journal.keeping(name, getattr(view, name), (self._transaction,))


@final
class Journal:
    """Stands in front of a store, and keeps the operations on it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._calls: list[Call] = []
        self._opened: list[Transaction] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        return self.keeping(name, found, ()) if callable(found) else found

    def view(self, transaction: Transaction | None) -> Looking:
        """See `Store.view`."""
        return Looking(self, transaction)

    def keeping(
        self, name: str, ask: Callable[..., object], view: tuple[object, ...]
    ) -> Callable[..., object]:
        """An operation that is remembered whenever it is called.

        Args:
            name: Its name.
            ask: It.
            view: The transaction, or None, of the view that it is one of; or nothing.
        """

        def keep(*words: object, **more: object) -> object:
            self._calls.append((name, words, more, view))
            answer = ask(*words, **more)
            if isinstance(answer, Transaction):
                self._opened.append(answer)
            return answer

        return keep

    def freeze(self) -> Node:
        """Keep the present version of the tree, as a transaction does."""
        self._calls.append((_FREEZE, (), {}, ()))
        return self.store.live.tree.freeze()

    def forget_last(self) -> None:
        """Forget the last operation."""
        self._calls.pop()

    @property
    def state(self) -> dict[str, object]:
        """The store's, as plain values."""
        return describe(self.store)

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

        for name, words, more, view in self._calls:
            if name == _FREEZE:
                store.live.tree.freeze()
                continue
            with suppress(XenStoreError):
                on: Any = store
                if view:
                    transaction: Any = other(view[0])
                    on = store.view(transaction)
                answer = getattr(on, name)(*map(other, words), **more)
                if isinstance(answer, Transaction):
                    opened.append(answer)
        return describe(store)
