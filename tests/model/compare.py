"""What the store holds and answers, in the words of the naive store."""

from collections.abc import Callable

from tests.model.cases import LETTERS
from tests.model.naive_state import RefusedError, Right, Rights, State, at_or_below
from tests.model.naive_watches import Told
from xsd.protocol.errors import XenStoreError
from xsd.protocol.path import Path
from xsd.protocol.perms import Entry, Permissions
from xsd.store import Event
from xsd.store.node import Node

Contents = list[tuple[Path, bytes, Rights]]


def as_permissions(given: Rights) -> Permissions:
    """The permission list as the store takes it."""
    return Permissions(
        tuple([Entry(LETTERS.index(each.letter), each.domid) for each in given])
    )


def as_rights(perms: Permissions) -> Rights:
    """The permission list as the naive store gives it."""
    return tuple(
        [
            Right(LETTERS[entry.rights], entry.domid, entry.stale)
            for entry in perms.entries
        ]
    )


def as_told(events: list[Event]) -> list[Told]:
    """Events as the naive store gives them."""
    return [(int(event.watch.token), event.shown) for event in events]


def contents(top: Node) -> Contents:
    """Everything in a version of the store, parents first and siblings in order."""
    found: Contents = []
    rest: list[tuple[Path, Node]] = [((), top)]
    while rest:
        path, node = rest.pop()
        found.append((path, node.value, as_rights(node.perms)))
        rest.extend([((*path, name), each) for name, each in reversed(node.children())])
    return found[1:]


def naive_contents(state: State) -> Contents:
    return [
        (path, state[path].value, state[path].rights)
        for path in at_or_below(state, ())[1:]
    ]


def answer(ask: Callable[[], object]) -> object:
    """What a request returns, or the name of its error."""
    try:
        return ask()
    except (XenStoreError, RefusedError) as error:
        return error.errno.name
