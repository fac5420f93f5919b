"""The rules of the store once more, as simply as they can be said.

Nothing here is fast and nothing is shared with the store: the whole state is one
dict, each transaction has a copy of it, and everything is found by looking at
everything. A transaction that is committed is done once more from its beginning;
what that changed is found by comparing the dicts before and after.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, final

from tests.model.naive_state import (
    EVERYTHING,
    EXISTENCE,
    NAMES,
    NOBODY,
    RIGHTS,
    ROOT,
    VALUE,
    Facet,
    RefusedError,
    Right,
    Rights,
    State,
    Step,
    apply,
    at_or_below,
    children,
    differences,
    nearest,
    owned,
    record_size,
)
from tests.model.naive_watches import NaiveWatch, NaiveWatches, Told
from xsd.protocol.errors import Errno
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.path import Path

ANY: Final = 0x7FF5
"""In a right: every domain."""

FIRST_RESERVED: Final = 0x7FF0
"""From here on a number names no single domain."""

INTRODUCED: Final[Path] = (b"@introduceDomain",)
RELEASED: Final[Path] = (b"@releaseDomain",)

LETTERS: Final = {"n": "", "r": "r", "w": "w", "b": "rw"}


@final
@dataclass(slots=True)
class NaiveTransaction:
    """One transaction.

    Attributes:
        who: Whose it is.
        state: What it sees, or None before its first request.
        base: What `state` was before the transaction changed it.
        began: When that was.
        seen: How much of the history was over by then.
        relied: What its answers depended on.
        steps: What it changed.
        failed: Whether one of its requests was refused for a quota.
    """

    who: int
    state: State | None = None
    base: State = field(default_factory=dict)
    began: int = 0
    seen: int = 0
    relied: set[Facet] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    failed: bool = False


Tx = NaiveTransaction | None
"""The transaction that a request belongs to, if any."""


@final
@dataclass(frozen=True, slots=True)
class Request:
    """Who asks about which path, where, and what is there."""

    who: int
    path: Path
    tx: Tx
    state: State


@final
class NaiveStore:
    """All state, and what requests do to it. Callers are domain ids; 0 may all.

    Attributes:
        live: The present state.
        history: The facets that each change of it changed.
        targets: The known domains with their targets, -1 for none.
        born: When each of them became known.
        watches: Every watch.
        open: The open transactions.
    """

    def __init__(self, quotas: dict[str, int]) -> None:
        self._clock: Iterator[int] = itertools.count(1)
        self.live: State = {}
        self.history: list[set[Facet]] = []
        self.targets: dict[int, int] = {0: -1}
        self.born: dict[int, int] = {0: 0}
        self.watches = NaiveWatches(self._may_read)
        self.open: list[NaiveTransaction] = []
        self._quotas = quotas
        self._own_quotas: dict[int, dict[str, int]] = {}
        everybody = (Right("n", 0), Right("r", ANY))
        for step in (
            Step(ROOT, b""),
            Step(INTRODUCED, b""),
            Step(RELEASED, b""),
            Step(RELEASED, rights=everybody),
            Step((b"", b"tool", b"xenstored"), b""),
        ):
            apply(self.live, 0, step, self._clock)

    # Reading.

    def read(self, who: int, path: Path, tx: Tx) -> bytes:
        ask = self._ask(who, path, tx)
        self._reach(ask, "r", VALUE)
        return ask.state[path].value

    def directory(self, who: int, path: Path, tx: Tx) -> bytes:
        """DIRECTORY: names, each with a NUL."""
        names = self._names(who, path, tx)
        if len(names) > PAYLOAD_MAX:
            raise RefusedError(Errno.E2BIG)
        return names

    def directory_part(
        self, who: int, path: Path, offset: int, room: int, tx: Tx
    ) -> bytes:
        """DIRECTORY_PART: whole names from an offset on, at the end one more NUL."""
        rest = self._names(who, path, tx)[offset:]
        if len(rest) <= room:
            return rest + b"\0"
        return rest[: rest.rfind(b"\0", 0, room) + 1]

    def _names(self, who: int, path: Path, tx: Tx) -> bytes:
        ask = self._ask(who, path, tx)
        self._reach(ask, "r", NAMES)
        return b"".join([each[-1] + b"\0" for each in children(ask.state, path)])

    def get_perms(self, who: int, path: Path, tx: Tx) -> Rights:
        ask = self._ask(who, path, tx)
        self._reach(ask, "r", RIGHTS)
        return ask.state[path].rights

    # Changing.

    def write(self, who: int, path: Path, value: bytes, tx: Tx) -> list[Told]:
        ask = self._ask_change(who, path, tx)
        if path in ask.state:
            self._demand(ask, "w", VALUE)
        else:
            self._demand_new(ask)
        return self._do(ask, Step(path, value))

    def mkdir(self, who: int, path: Path, tx: Tx) -> list[Told]:
        """MKDIR: nothing happens to a node that exists."""
        ask = self._ask_change(who, path, tx)
        if path in ask.state:
            self._demand(ask, "w", EXISTENCE)
            return []
        self._demand_new(ask)
        return self._do(ask, Step(path, b""))

    def rm(self, who: int, path: Path, tx: Tx) -> list[Told]:
        ask = self._ask_change(who, path, tx)
        if path not in ask.state:
            self._explain(ask, "w")
            if path[:-1] not in ask.state:
                raise RefusedError(Errno.ENOENT)
            self._rely(tx, path[:-1], EXISTENCE)
            return []
        self._demand(ask, "w", EXISTENCE)
        if path == ROOT:
            raise RefusedError(Errno.EINVAL)
        self._rely(tx, path, EVERYTHING)
        return self._do(ask, Step(path))

    def set_perms(self, who: int, path: Path, rights: Rights, tx: Tx) -> list[Told]:
        """SET_PERMS: who is not known now gets nothing, whoever comes later."""
        if self._exceeds(who, "node-permissions", len(rights)):
            raise RefusedError(Errno.ENOSPC)
        known = (ANY, *self.targets)
        if rights[0].domid not in known:
            raise RefusedError(Errno.ENOENT)
        others = [replace(each, void=each.domid not in known) for each in rights[1:]]
        ask = self._ask_change(who, path, tx)
        self._reach(ask, "wo", RIGHTS)
        if who and rights[0].domid != ask.state[path].rights[0].domid:
            raise RefusedError(Errno.EPERM)
        return self._do(ask, Step(path, rights=(rights[0], *others)))

    def _do(self, ask: Request, step: Step) -> list[Told]:
        """Make a change where it was asked for, if no quota is against it."""
        before, tx = ask.state, ask.tx
        after = dict(before)
        apply(after, ask.who, step, self._clock)
        try:
            self._check_nodes(ask, after)
            self._check_sizes(ask.who, before, after)
        except RefusedError:
            if tx is not None:
                tx.failed = True
            raise
        if tx is None:
            self._become(after)
            return self.watches.tell_step(before, after, step)
        tx.state = after
        tx.steps.append(step)
        return []

    # Transactions.

    def start(self, who: int) -> NaiveTransaction:
        if self._exceeds(who, "transactions", self.count_open(who) + 1):
            raise RefusedError(Errno.ENOSPC)
        tx = NaiveTransaction(who)
        self.open.append(tx)
        return tx

    def abort(self, tx: NaiveTransaction) -> None:
        self.open = [each for each in self.open if each is not tx]

    def commit(self, tx: NaiveTransaction) -> list[Told]:
        self.abort(tx)
        if tx.failed:
            raise RefusedError(Errno.ENOMEM)
        if self.is_broken(tx) or self._names_the_gone(tx):
            raise RefusedError(Errno.EAGAIN)
        if not self._is_still_allowed(tx):
            raise RefusedError(Errno.EACCES)
        before = self.live
        after = dict(before)
        for step in tx.steps:
            apply(after, tx.who, step, self._clock)
        self._check_growth(tx.who, before, after)
        self._check_sizes(tx.who, before, after)
        self._become(after)
        return self.watches.tell_commit(tx.steps, before, after)

    def count_open(self, who: int) -> int:
        """Transactions that a domain has open."""
        return len([tx for tx in self.open if tx.who == who])

    def _ask(self, who: int, path: Path, tx: Tx) -> Request:
        """Begin a request.

        A transaction that has changed nothing sees the present as long as nothing
        has changed that its answers depended on.
        """
        if tx is None:
            return Request(who, path, tx, self.live)
        if tx.state is None or not (tx.failed or tx.steps or self.is_broken(tx)):
            tx.base = tx.state = self.live
            tx.began = next(self._clock)
            tx.seen = len(self.history)
        return Request(who, path, tx, tx.state)

    def _ask_change(self, who: int, path: Path, tx: Tx) -> Request:
        if tx is not None and tx.failed:
            raise RefusedError(Errno.ENOMEM)
        return self._ask(who, path, tx)

    def is_broken(self, tx: NaiveTransaction) -> bool:
        """Tell whether anything that it relied on was changed, even back again."""
        recent: set[Facet] = set().union(*self.history[tx.seen :])
        for path, facet in tx.relied:
            if path and path not in tx.base:
                if path in self.live:
                    return True
            elif facet == EVERYTHING:
                if any(each[: len(path)] == path for each, _facet in recent):
                    return True
            elif (path, facet) in recent or (path, EXISTENCE) in recent:
                return True
        return False

    def _names_the_gone(self, tx: NaiveTransaction) -> bool:
        """Tell whether rights that it set name a domain that is gone by now."""
        for node in (tx.state or {}).values():
            for right in node.rights:
                if (
                    node.granted < tx.began
                    or right.void
                    or right.domid >= FIRST_RESERVED
                ):
                    continue
                if self.born.get(right.domid, node.granted) >= node.granted:
                    return True
        return False

    def _is_still_allowed(self, tx: NaiveTransaction) -> bool:
        """Tell whether the caller may still do what it did to nodes of others.

        The rights of the nodes have not changed, or it would be a conflict; but the
        target of the caller may have.
        """
        needed: list[tuple[Path, str]] = []
        old = dict(tx.base)
        for step in tx.steps:
            if step.removes and step.path in old:
                needed.append((step.path, "w"))
                for path in at_or_below(old, step.path):
                    del old[path]
        for path, node in (tx.state or {}).items():
            if node.created > tx.began:
                needed += [(path[:-1], "w")] if path[:-1] in old else []
                continue
            needed += [(path, "w")] if node.written > tx.began else []
            needed += [(path, "o")] if node.granted > tx.began else []
        return all(
            right in self.access(tx.who, self.live[path].rights)
            for path, right in needed
        )

    def _become(self, after: State) -> None:
        self.history.append(differences(self.live, after))
        self.live = after

    def watch(self, watch: NaiveWatch) -> None:
        used = self.watches.count(watch.who)
        if self._exceeds(watch.who, "watches", used + 1):
            raise RefusedError(Errno.ENOSPC)
        self.watches.all.append(watch)

    # Domains.

    def introduce(self, domid: int) -> list[Told]:
        if domid in self.targets:
            return []
        self.targets[domid] = -1
        self.born[domid] = next(self._clock)
        return self.watches.tell_domain(self.live, INTRODUCED, domid)

    def shut_down(self, domid: int) -> list[Told]:
        """Tell those who watch single domains."""
        self._demand_domain(domid)
        return self.watches.tell_domain(self.live, RELEASED, domid, plain=False)

    def release(self, domid: int, *, keep_orphans: bool) -> list[Told]:
        """RELEASE: what the domain owns goes, other lists no longer name it.

        What is kept, and the root and special nodes, which cannot go, fall to dom0.
        """
        self._demand_domain(domid)
        del self.targets[domid], self.born[domid]
        self._own_quotas.pop(domid, None)
        for other, target in self.targets.items():
            if target == domid:
                self.targets[other] = -1
        told: list[Told] = []
        for path in at_or_below(self.live, ROOT)[1:]:
            node = self.live.get(path)
            if node and node.rights[0].domid == domid and not keep_orphans:
                told += self.rm(0, path, None)
        after = dict(self.live)
        for path, node in self.live.items():
            if any(each.domid == domid for each in node.rights):
                first, *others = node.rights
                if first.domid == domid:
                    first = replace(first, domid=0)
                kept = [each for each in others if each.domid != domid]
                apply(after, 0, Step(path, rights=(first, *kept)), self._clock)
        self._become(after)
        return told + self.watches.tell_domain(self.live, RELEASED, domid)

    def set_target(self, domid: int, target: int) -> None:
        self._demand_domain(domid)
        self._demand_domain(target)
        self.targets[domid] = target

    def _demand_domain(self, domid: int) -> None:
        if domid not in self.targets:
            raise RefusedError(Errno.ENOENT)

    # Rights, and what an answer depends on.

    def access(self, who: int, rights: Rights) -> str:
        """What a domain may do: r, w, and o for setting rights."""
        if who == 0:
            return "rwo"
        mine = (who, self.targets.get(who, -1), ANY)
        if rights[0].domid in mine:
            return "rwo"
        for right in rights[1:]:
            if right.domid in mine and not right.void:
                return LETTERS[right.letter]
        return LETTERS[rights[0].letter]

    def _may_read(self, who: int, rights: Rights) -> bool:
        return "r" in self.access(who, rights)

    def _reach(self, ask: Request, needed: str, facet: str) -> None:
        """Demand rights to a node, which must be there."""
        if ask.path not in ask.state:
            self._explain(ask, needed[0])
            raise RefusedError(Errno.ENOENT)
        self._demand(ask, needed, facet)

    def _demand(self, ask: Request, needed: str, facet: str) -> None:
        """Demand rights to a node; who lacks them learns nothing else."""
        if ask.who:
            self._rely(ask.tx, ask.path, RIGHTS)
        if not set(needed) <= set(self.access(ask.who, ask.state[ask.path].rights)):
            raise RefusedError(Errno.EACCES)
        self._rely(ask.tx, ask.path, facet)

    def _explain(self, ask: Request, needed: str) -> Path:
        """Demand the right to know that a node is missing; return the nearest."""
        above = nearest(ask.state, ask.path)
        self._rely(ask.tx, ask.path[: len(above) + 1], EXISTENCE)
        if ask.who:
            self._rely(ask.tx, above, RIGHTS)
        rights = ask.state[above].rights if above else NOBODY
        if needed not in self.access(ask.who, rights):
            raise RefusedError(Errno.EACCES)
        return above

    def _demand_new(self, ask: Request) -> None:
        """Demand the right to make a node, which gets the rights of the nearest."""
        self._rely(ask.tx, self._explain(ask, "w"), RIGHTS)

    def _rely(self, tx: Tx, path: Path, facet: str) -> None:
        if tx is None or tx.failed:
            return
        known = {path for path, _facet in tx.relied}
        count = len(known) + 1
        if path not in known and self._exceeds(tx.who, "transaction-nodes", count):
            tx.failed = True
            raise RefusedError(Errno.ENOSPC)
        tx.relied.add((path, facet))

    # Quotas.

    def set_quota(self, domid: int, name: str, limit: int) -> None:
        """SET_QUOTA; domid -1 is for all that have none of their own."""
        limits = self._quotas if domid < 0 else self._own_quotas.setdefault(domid, {})
        limits[name] = limit

    def _exceeds(self, who: int, quota: str, count: int) -> bool:
        """Tell whether a count is over a guest's limit; 0 is no limit."""
        limit = self._own_quotas.get(who, {}).get(quota, self._quotas[quota])
        return who != 0 and 0 < limit < count

    def _check_nodes(self, ask: Request, after: State) -> None:
        """Refuse new nodes beyond what the domain has, and its transaction made."""
        if len(after) <= len(ask.state) or not ask.who:
            return
        have = owned(self.live).get(ask.who, 0)
        base = have if ask.tx is None else owned(ask.tx.base).get(ask.who, 0)
        have += owned(after).get(ask.who, 0) - base
        if self._exceeds(ask.who, "nodes", have):
            raise RefusedError(Errno.ENOSPC)

    def _check_growth(self, who: int, before: State, after: State) -> None:
        """Refuse a commit with which too many nodes would be a domain's."""
        old, new = owned(before), owned(after)
        for domid, count in new.items():
            grown = count > old.get(domid, 0)
            if who and grown and self._exceeds(domid, "nodes", count):
                raise RefusedError(Errno.ENOSPC)

    def _check_sizes(self, who: int, before: State, after: State) -> None:
        """Refuse records that have grown too big."""
        for path in {path for path, _facet in differences(before, after)} & set(after):
            size = record_size(after, path)
            grown = path not in before or size > record_size(before, path)
            if grown and self._exceeds(who, "node-size", size):
                raise RefusedError(Errno.ENOSPC)
