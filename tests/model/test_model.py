"""The store and the naive store are asked the same and must answer the same.

`XSD_MODEL_EXAMPLES=10000` runs so many random sequences of requests in place of
the few that are the same every time.
"""

import os
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.model import cases
from tests.model.cases import Ask
from tests.model.compare import (
    answer,
    as_permissions,
    as_rights,
    as_told,
    contents,
    naive_contents,
)
from tests.model.journal import LOOKS, Journal
from tests.model.naive_state import Rights, State, owned, record_size
from tests.model.naive_store import NaiveStore, NaiveTransaction, Tx
from tests.model.naive_watches import NaiveWatch
from tests.model.served import as_served
from tests.support.replaying import assert_equal, loaded
from xsd.engine.state import differences
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.path import Path, parse_path
from xsd.protocol.perms import Caller, Permissions
from xsd.store import Event, Transaction, Watch
from xsd.store.check import verify
from xsd.store.node import Node
from xsd.store.quota import DEFAULTS
from xsd.store.state import describe

EXAMPLES = int(os.environ.get("XSD_MODEL_EXAMPLES", "0"))
TIMEOUT = 0 if EXAMPLES else 600


class Opened(NamedTuple):
    """One open transaction in both stores."""

    real: Transaction
    naive: NaiveTransaction


class StoreMachine(RuleBasedStateMachine):
    """Asks both stores the same."""

    def __init__(self) -> None:
        super().__init__()
        self.journal = Journal()
        self.store = self.journal.store
        self.ask = self.journal.ask
        self.naive = NaiveStore(dict(DEFAULTS))
        self.open: dict[int, Opened] = {}
        self.watches: list[Watch] = []
        self.registered = 0
        self.kept: list[tuple[Node, State]] = []
        self.generations: dict[Path, tuple[int, int]] = {}

    @initialize(
        root=cases.rights,
        quotas=cases.settings,
        nodes=st.lists(st.tuples(cases.places, cases.rights), min_size=2, max_size=6),
        watched=st.lists(st.tuples(cases.domids, st.sampled_from(cases.WATCHED))),
    )
    def begin(
        self,
        root: Rights,
        quotas: list[tuple[str, int]],
        nodes: list[tuple[Path, Rights]],
        watched: list[tuple[int, bytes]],
    ) -> None:
        """Three guests, the last with the rights of the first, find some nodes."""
        for domid in cases.GUESTS:
            self.introduce(domid)
        self.set_target(3, 1)
        self.request(0, None, "set_perms", (b"",), root)
        for text in (b"/a/a/a", b"/a/b", b"/b/a"):
            self.request(0, None, "write", parse_path(text), text)
        for path, rights in nodes:
            self.request(0, None, "write", path, b"0")
            self.request(0, None, "set_perms", path, rights)
        for who, shown in watched:
            self.watch(who, shown, -1)
        for name, limit in quotas:
            self.set_quota(-1, name, limit)

    # What is asked.

    @rule(who=cases.domids, asks=cases.asks)
    def outside(self, who: int, asks: list[Ask]) -> None:
        """Ask something outside transactions."""
        for ask in asks:
            self.request(who, None, *ask)

    @rule(slot=cases.slots, asks=cases.asks)
    def inside(self, slot: int, asks: list[Ask]) -> None:
        """Ask something in a transaction."""
        for ask in asks:
            self.request(cases.SLOTS[slot], slot, *ask)

    @rule(
        slot=cases.slots,
        asks=st.one_of(cases.asks, cases.looks),
        who=st.one_of(st.none(), cases.domids),
        meanwhile=cases.meanwhile,
        later=cases.asks,
        incident=st.sampled_from([None] * 4 + cases.INCIDENTS),
    )
    def whole(
        self,
        slot: int,
        asks: list[Ask],
        who: int | None,
        meanwhile: list[Ask],
        later: list[Ask],
        incident: str | None,
    ) -> None:
        """Run a transaction to its end, disturbed by others or by whose it is."""
        self.inside(slot, asks)
        self.outside(cases.SLOTS[slot] if who is None else who, meanwhile)
        self.inside(slot, later)
        self.happen(incident, cases.SLOTS[slot])
        self.close(slot, commit=True)
        if incident in {"few", "small"}:
            self.set_quota(cases.SLOTS[slot], "nodes", 0)
            self.set_quota(cases.SLOTS[slot], "node-size", 0)

    @rule(index=st.integers(0, 4), commit=st.sampled_from([True, True, True, False]))
    def end(self, index: int, commit: bool) -> None:
        """Commit or abort one of the open transactions."""
        if self.open:
            self.close(sorted(self.open)[index % len(self.open)], commit=commit)

    @rule(
        who=cases.domids,
        shown=st.sampled_from(cases.WATCHED),
        depth=st.sampled_from([-1, -1, 0, 1, 2]),
        index=st.one_of(st.none(), st.none(), st.integers(0, 9)),
    )
    def watching(self, who: int, shown: bytes, depth: int, index: int | None) -> None:
        """Register a watch, or take one out again."""
        if index is None:
            self.watch(who, shown, depth)
        elif index < len(self.watches):
            self.unwatch(self.watches[index])

    @rule(
        kind=st.sampled_from(
            [
                *["target", "quota", "keep"] * 8,
                "end",
                "end",
                "orphan",
                "shut_down",
                "fill",
            ]
        ),
        domid=cases.guests,
        lender=cases.guests,
        limit=cases.limits,
        slot=st.sampled_from([None, 0, 1]),
    )
    def rare(
        self,
        kind: str,
        domid: int,
        lender: int,
        limit: tuple[str, int],
        slot: int | None,
    ) -> None:
        """Do what toolstacks do now and then."""
        if kind == "quota":
            self.set_quota(-1 if lender == domid else domid, *limit)
        elif kind == "keep":
            self.kept.append((self.ask("freeze"), dict(self.naive.live)))
        elif kind == "fill":
            self.fill(slot)
        elif self.caller(domid) is None:
            self.introduce(domid)
        elif kind == "target":
            self.set_target(domid, lender)
        elif kind == "shut_down":
            self.agree("shut_down", [domid], [domid])
        else:
            self.release(domid, keep_orphans=kind == "orphan")

    # How it is asked.

    def happen(self, incident: str | None, who: int) -> None:
        """Change what a transaction of a domain must find when it is committed."""
        if incident == "target":
            self.set_target(3, 2 if self.naive.targets.get(3) == 1 else 1)
        elif incident == "few":
            self.set_quota(who, "nodes", owned(self.naive.live).get(who, 0))
        elif incident == "small" and cases.WIDE in self.naive.live:
            size = record_size(self.naive.live, cases.WIDE)
            self.set_quota(who, "node-size", size)
        elif incident in {"end", "rebirth"} and self.caller(1):
            self.release(1)
            if incident == "rebirth":
                self.introduce(1)

    def fill(self, slot: int | None) -> None:
        """Make a directory wide or, if it is, narrow again."""
        if (*cases.WIDE, cases.MEMBERS[-1]) in self.naive.live:
            for name in cases.MEMBERS[cases.LEFT :]:
                self.request(0, slot, "rm", (*cases.WIDE, name))
        else:
            for name in cases.MEMBERS:
                self.request(0, slot, "write", (*cases.WIDE, name), b"")

    def watch(self, who: int, shown: bytes, depth: int) -> None:
        """WATCH; the token tells one watch from another."""
        caller = self.caller(who)
        if caller is None:
            return
        self.registered += 1
        number = self.registered
        path = parse_path(shown, b"/local/domain/%d" % who, special=True)
        watch = Watch(who + 1, caller, path, shown, b"%d" % number, depth)
        if self.agree("watch", [watch], [NaiveWatch(number, who, path, shown, depth)]):
            self.watches.append(watch)

    def unwatch(self, watch: Watch) -> None:
        self.watches.remove(watch)
        self.ask("unwatch", watch)
        self.naive.watches.remove(int(watch.token))

    def caller(self, who: int) -> Caller | None:
        """Who asks, as the store knows it; None for a domain that is not there."""
        domain = self.store.domains.get(who)
        return None if domain is None else domain.caller

    def close(self, slot: int, *, commit: bool) -> None:
        opened = self.open.pop(slot, None)
        if opened is None:
            return
        self.compare_inside(opened)
        if commit:
            safe = self.unconcerned(opened.real.footprint.named_paths())
            self.agree("commit", [opened.real], [opened.naive])
            assert not any(self.naive.is_broken(each) for each in safe)
        else:
            self.ask("abort", opened.real)
            self.naive.abort(opened.naive)

    def request(self, who: int, slot: int | None, name: str, *asked: Any) -> None:
        """Ask one thing; the transaction is opened if need be."""
        caller = self.caller(who)
        if caller is None:
            return
        if slot is not None and slot not in self.open and not self.start(slot, caller):
            return
        opened = None if slot is None else self.open[slot]
        real = opened and opened.real
        naive = opened and opened.naive
        path = asked[0]
        safe = [] if slot is not None else self.unconcerned([path])
        if name == "directory_part":
            self.directory_part(caller, path, asked[1], real, naive)
        elif name == "set_perms":
            rights = self.resolve(path, asked[1], naive)
            perms = as_permissions(rights)
            self.agree(name, [caller, path, perms, real], [who, path, rights, naive])
        elif name in LOOKS:
            self.agree(name, [real, caller, path], [who, path, naive])
        else:
            self.agree(name, [caller, *asked, real], [who, *asked, naive])
        assert not any(self.naive.is_broken(each) for each in safe)

    def unconcerned(self, paths: list[Path]) -> list[NaiveTransaction]:
        """Open transactions that no change of these paths can make fail."""
        now = self.store.live.tree.top
        return [
            opened.naive
            for opened in self.open.values()
            if not self.naive.is_broken(opened.naive)
            and not any(opened.real.footprint.concerns(path, now) for path in paths)
        ]

    def agree(
        self, name: str, ours: list[Any], theirs: list[Any], **more: bool
    ) -> bool:
        """Ask both, compare, and tell whether there was no error."""
        got = answer(partial(self.ask, name, *ours, **more))
        same = getattr(self.naive, "release" if name == "end" else name)
        expected = answer(partial(same, *theirs, **more))
        if isinstance(got, Permissions):
            got = as_rights(got)
        elif isinstance(got, list) and got and isinstance(got[0], Event):
            got = as_told(got)
        assert got == expected
        return not isinstance(got, str)

    def start(self, slot: int, caller: Caller) -> bool:
        """Open a transaction; tell whether that was not refused."""
        real = answer(partial(self.ask, "start", caller))
        naive = answer(partial(self.naive.start, caller.domid))
        if isinstance(real, Transaction) and isinstance(naive, NaiveTransaction):
            self.open[slot] = Opened(real, naive)
            return True
        assert real == naive
        return False

    def resolve(self, path: Path, rights: Rights, tx: Tx) -> Rights:
        """Put the present owner in where whoever owns the node is meant."""
        state = self.naive.live if tx is None or tx.state is None else tx.state
        if rights[0].domid != cases.WHOEVER:
            return rights
        owner = state[path].rights[0].domid if path in state else 0
        return (replace(rights[0], domid=owner), *rights[1:])

    def directory_part(
        self,
        caller: Caller,
        path: Path,
        offset: int,
        real: Transaction | None,
        naive: Tx,
    ) -> None:
        """Ask for a part of a list; the number before it is not the naive store's."""
        reply = answer(partial(self.ask, "directory_part", real, caller, path, offset))
        number, names = b"", reply
        if isinstance(reply, bytes):
            number, _nul, names = reply.partition(b"\0")
        # The NUL behind the number and the one behind the last name.
        room = PAYLOAD_MAX - len(number) - 2
        ask = self.naive.directory_part
        expected = answer(partial(ask, caller.domid, path, offset, room, naive))
        assert names == expected
        if real is None and isinstance(reply, bytes):
            self.compare_generation(path, int(number))

    def compare_generation(self, path: Path, generation: int) -> None:
        """A node's generation grows exactly with each change of what it holds."""
        version = sum(path in dict(changed) for changed in self.naive.history)
        last_version, last = self.generations.get(path, (version, generation))
        self.generations[path] = (version, generation)
        assert (generation > last) == (version > last_version)
        assert generation >= last

    def introduce(self, domid: int) -> None:
        self.agree("introduce", [domid, 1], [domid])

    def release(self, domid: int, *, keep_orphans: bool = False) -> None:
        """RELEASE, after what belongs to the domain's connection is gone."""
        for slot in list(self.open):
            if cases.SLOTS[slot] == domid:
                self.close(slot, commit=False)
        for watch in [each for each in self.watches if each.caller.domid == domid]:
            self.unwatch(watch)
        self.agree("end", [[domid]], [domid], keep_orphans=keep_orphans)

    def set_target(self, domid: int, target: int) -> None:
        self.agree("set_target", [domid, target], [domid, target])

    def set_quota(self, domid: int, name: str, limit: int) -> None:
        self.ask("set_quota", domid, name, limit)
        self.naive.set_quota(domid, name, limit)

    # What must hold.

    @invariant()
    def nothing_is_wrong_with_the_store(self) -> None:
        """The store finds no fault with itself."""
        assert verify(self.store) == []

    @invariant()
    def both_hold_the_same(self) -> None:
        """Nodes and their order, values, permissions; counters by domain."""
        naive = self.naive
        domids = (0, *cases.GUESTS)

        assert contents(self.store.live.tree.top) == naive_contents(naive.live)
        assert self.store.usage.nodes.used == owned(naive.live)
        assert [self.store.usage.watches.of(each) for each in domids] == [
            naive.watches.count(each) for each in domids
        ]
        assert [self.store.usage.transactions.of(each) for each in domids] == [
            naive.count_open(each) for each in domids
        ]

    @invariant()
    def what_is_written_is_loaded_again(self) -> None:
        """Nodes, transactions with what they began with, watches and accounts."""
        served = as_served(self.store)
        assert_equal(served, loaded(served))

    def compare_inside(self, opened: Opened) -> None:
        """A transaction sees, and began with, what it should."""
        real, naive = opened
        if naive.state is None:
            assert real.snapshot is None
            return
        assert real.snapshot is not None
        assert contents(real.tree.top) == naive_contents(naive.state)
        assert contents(real.snapshot) == naive_contents(naive.base)

    def teardown(self) -> None:
        """No version that somebody still holds has changed, and all can be redone."""
        for opened in self.open.values():
            self.compare_inside(opened)
        for top, state in self.kept:
            assert contents(top) == naive_contents(state)
        assert differences(describe(self.store), self.journal.again()) == []


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT)
def test_store_does_what_the_naive_store_does() -> None:
    """Every answer, error, event and counter agrees with the rules in words."""
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=EXAMPLES or 150,
            stateful_step_count=50,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


def test_what_is_not_done_again_shows() -> None:
    """Or the comparison at the end of each sequence would prove nothing."""
    journal = Journal()
    dom0 = journal.store.privileged.caller
    for name in (b"a", b"b"):
        journal.ask("write", dom0, (b"", name), b"")
    state = describe(journal.store)

    assert differences(state, journal.again()) == []
    journal.calls.pop()
    assert differences(state, journal.again()) != []
