"""Operations on a store, which are remembered and asked of another one once more."""

from contextlib import suppress
from typing import Any, Final, final

from xsd.protocol.errors import XenStoreError
from xsd.protocol.perms import Caller
from xsd.store import Store, Transaction, Watch
from xsd.store.state import describe

LOOKS: Final = frozenset({"read", "directory", "directory_part", "get_perms"})
"""Operations of a view; even these may change what a transaction relies on."""


@final
class Journal:
    """Asks a store, and remembers what.

    Attributes:
        store: It.
        calls: Name, arguments and named arguments of each operation.
    """

    def __init__(self) -> None:
        self.store = Store()
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._opened: list[Transaction] = []

    def ask(self, name: str, *words: Any, **more: Any) -> Any:
        """Do an operation; one of a view has the transaction, or None, as its first.

        The operation "freeze" keeps the present version, as a transaction does.
        """
        self.calls.append((name, words, more))
        answer = _ask(self.store, name, *words, **more)
        if isinstance(answer, Transaction):
            self._opened.append(answer)
        return answer

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
                    connection, caller = word.connection, other(word.caller)
                    assert isinstance(caller, Caller)
                    shown, token = word.shown, word.token
                    watches[word] = Watch(
                        connection, caller, word.path, shown, token, word.depth
                    )
                return watches[word]
            return word

        for name, words, more in self.calls:
            with suppress(XenStoreError):
                answer = _ask(store, name, *map(other, words), **more)
                if isinstance(answer, Transaction):
                    opened.append(answer)
        return describe(store)


def _ask(store: Store, name: str, *words: Any, **more: Any) -> Any:
    if name == "freeze":
        return store.live.tree.freeze()
    if name in LOOKS:
        return getattr(store.view(words[0]), name)(*words[1:])
    return getattr(store, name)(*words, **more)
