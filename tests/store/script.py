"""Requests as scripts: a rule is then a row of them."""

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import final

import pytest

from tests.store.support import Client, Told, dom0_of, guest_of, homed, told
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.path import format_path
from xsd.store import Store, Watch


@final
class Play:
    r"""Requests as a script: one in a line, or several between ``;``.

    ``who what path more -> expected``. Who is a domain id (one that is new has a home,
    /local/domain/<id>), or the name of a transaction that ``start`` gave; if it is left
    out, ``Play.who``. A star behind a domain id stands for the same in a transaction,
    if ``inside`` says so. What is one of

        read write mkdir rm dir part watch unwatch  as those of Client
        get set                                     permissions
        start t1 commit abort                       transactions
        know introduce shut resume release keep     5; 5; 5; 5; 5 6; 5 6
        target features quota                       5 6; 5 1; 5 nodes 7
        memory room nodes opened                    5; 5 100: so many bytes more; 5; 5

    Expected is an errno with a part of the reason, a value, names, permissions or
    events as ``path:token``; nothing of these is ``-``. ``x*9`` is nine times x.
    What is refused outside of transactions must not have changed anything.
    """

    def __init__(self, store: Store, *, inside: bool = False, who: str = "0") -> None:
        self.store = store
        self.inside = inside
        self.who = who
        self.clients: dict[str, Client] = {}
        self.watches: dict[bytes, Watch] = {}

    def run(self, script: str) -> None:
        """Do all of it and compare."""
        for line in script.replace(";", "\n").splitlines():
            if line.strip():
                self._line(line)

    def client(self, name: str) -> Client:
        if name not in self.clients:
            domid = int(name.rstrip("*"))
            known = self.store.domains.get(domid) is not None
            make = guest_of if known else homed
            client = make(self.store, domid) if domid else dom0_of(self.store)
            inside = self.inside and name.endswith("*")
            self.clients[name] = client.start() if inside else client
        return self.clients[name]

    def _line(self, line: str) -> None:
        request, arrow, expected = line.partition("->")
        words = [_repeated(each) for each in request.split()]
        who = self.who if words[0] in _WORDS else words.pop(0).decode()
        what = words.pop(0)
        wanted = expected.split()
        if wanted and wanted[0].isupper() and hasattr(Errno, wanted[0]):
            before = self._counts(who, what)
            with pytest.raises(XenStoreError) as caught:
                self._do(who, what, words)
            assert self._counts(who, what) == before, line
            assert caught.value.errno is Errno[wanted[0]], line
            assert " ".join(wanted[1:]) in str(caught.value), line
            if what in _OF_NODES and caught.value.path:
                at_path = self.client(who).at(words[0])
                assert caught.value.path == format_path(at_path), line
            return
        got = self._do(who, what, words)
        if arrow:
            assert _text(got) == b" ".join([_repeated(each) for each in wanted]), line

    def _counts(self, who: str, what: bytes) -> object:
        """What a refusal leaves alone; in a transaction that is for others to see."""
        if what not in _OF_NODES or self.client(who).transaction is not None:
            return None
        store = self.store
        return store.generation, store.usage.memory.used.copy(), store.watches.count

    def _do(self, who: str, what: bytes, words: list[bytes]) -> object:
        if what in _OF_STORES:
            return self._about_domains(what, words)
        client = self.client(who)
        if what == b"start":
            self.clients[words[0].decode()] = client.start()
        elif what == b"watch":
            path, token, depth = [*words, *[b"", b"-1"][len(words) - 1 :]]
            self.watches[token or path] = client.watch(path, token, int(depth))
        elif what == b"unwatch":
            self.store.unwatch(self.watches[words[0]])
        elif what == b"part":
            return client.directory_part(words[0], int(words[1]))
        else:
            name = {b"dir": "directory", b"get": "get_perms", b"set": "set_perms"}
            found: object = getattr(client, name.get(what, what.decode()))(*words)
            return found
        return None

    def _about_domains(
        self, what: bytes, words: list[bytes]
    ) -> Sequence[tuple[bytes, ...]]:
        store, usage = self.store, self.store.usage
        numbers = [int(each) for each in words if each.lstrip(b"-").isdigit()]
        first = numbers[0]
        if what in {b"release", b"keep"}:
            return told(store.end(numbers, keep_orphans=what == b"keep"))
        if what == b"introduce":
            return told(store.introduce(first, 1))
        if what == b"shut":
            return told(store.shut_down(first))
        if what in {b"memory", b"nodes", b"opened"}:
            accounts = usage.memory, usage.nodes, usage.transactions
            account = accounts[[b"memory", b"nodes", b"opened"].index(what)]
            return [(b"%d" % account.of(first),)]
        if what == b"room":
            store.set_quota(first, "memory", usage.memory.of(first) + numbers[1])
        elif what == b"quota":
            store.set_quota(first, words[1].decode(), numbers[1])
        else:
            names = {b"target": "set_target", b"features": "set_features"}
            getattr(store, names.get(what, what.decode()))(*numbers)
        return []


_OF_NODES = set(b"read write mkdir rm dir part get set".split())
_OF_STORES = set(
    b"know introduce release keep shut resume target features quota memory room nodes "
    b"opened".split()
)
_WORDS = {*_OF_NODES, *_OF_STORES, b"watch", b"unwatch", b"start", b"commit", b"abort"}


def _repeated(word: str) -> bytes:
    # Each part of a path may say how often it is repeated.
    parts: list[str] = []
    for part in word.split("/"):
        what, star, count = part.partition("*")
        parts.append(what * int(count) if star and count else part)
    return "/".join(parts).encode()


def _text(got: object) -> bytes:
    """What a request returned, as scripts say it."""
    if isinstance(got, bytes):
        return got.rstrip(b"\0").replace(b"\0", b" ") or b"-"
    if not isinstance(got, list) or not got:
        return b"-"
    return b" ".join(
        [each if isinstance(each, bytes) else b":".join(each) for each in got]
    )


def play(client: Client, script: str) -> None:
    """Have one client, in its transaction if it has one, do a script."""
    game = Play(client.store, who="it")
    game.clients["it"] = client
    game.run(script)


def pairs(text: str) -> Told:
    """Events as ``path:token``, in order."""
    found = [tuple(each.encode().split(b":")) for each in text.split()]
    return [(path, token) for path, token in found]


def calls_of(work: Callable[..., object], *arguments: object) -> int:
    """How many calls of Python functions and builtins it takes."""
    count = 0

    def see(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(see)
    try:
        work(*arguments)
    finally:
        sys.setprofile(None)
    return count
