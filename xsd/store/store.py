"""The store: all that a request can do, and what becomes of it."""

from typing import Final, final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import DOMID_ANY
from xsd.protocol.ops import FEATURES
from xsd.protocol.path import ROOT, Path
from xsd.protocol.perms import NONE, READ, Caller, Entry, Permissions, owner_only
from xsd.store.census import Census
from xsd.store.changes import Cause, Change
from xsd.store.clock import Clock
from xsd.store.commit import prepare
from xsd.store.domains import Domain, Domains
from xsd.store.estate import settle
from xsd.store.events import Audience, Event, events_for, special_events
from xsd.store.exceeded import QuotaExceeded
from xsd.store.live import Live
from xsd.store.node import Node
from xsd.store.quota import NODE_PERMISSIONS, TRANSACTIONS, WATCHES, Quotas
from xsd.store.snapshots import OpenTransactions
from xsd.store.transaction import Transaction
from xsd.store.tree import Tree
from xsd.store.usage import Account, Usage
from xsd.store.view import View
from xsd.store.watches import Watch, WatchIndex

INTRODUCE_DOMAIN: Final = b"@introduceDomain"
RELEASE_DOMAIN: Final = b"@releaseDomain"

_NO_EVENTS: Final[list[Event]] = []


@final
class Store:
    """The tree, its watches, its domains and their quotas.

    Nodes are read through `view`. Operations that change something take the
    transaction they belong to, or None, and return the watch events that are due, in
    order; inside a transaction that is none until it is committed.

    Attributes:
        privileged: The domain that may do everything, the control domain.
        own: The domain that the daemon runs in; dom0 is both, as a rule.
        live: The current state.
        watches: Every watch.
        audience: Who is told, and whether somebody was not.
        domains: Every known domain.
        quotas: Limits.
        usage: What each domain uses.
        transactions: The open ones.
        clock: Generations, and how often anything has changed.
        news: What has changed since it was last taken, in order, while listening.
        defects: Exceptions while it was found out whom to tell of what had happened.
            The requests stand, and are told to nobody.
    """

    __slots__ = (
        "_listening",
        "audience",
        "clock",
        "defects",
        "domains",
        "live",
        "news",
        "own",
        "privileged",
        "quotas",
        "transactions",
        "usage",
        "watches",
    )

    def __init__(
        self,
        privileged_domid: int = 0,
        census: Census | None = None,
        own_domid: int | None = None,
    ) -> None:
        own = privileged_domid if own_domid is None else own_domid
        self.clock = Clock()
        self._listening = False
        self.defects: list[BaseException] = []
        self.news: list[Change] = []
        self.quotas = Quotas(privileged_domid, self.clock, own)
        self.usage = Usage(self.clock)
        self.audience = Audience(self.quotas, self.usage)
        self.domains = Domains(census, self.clock)
        self.watches = WatchIndex()
        self.transactions = OpenTransactions()
        self.privileged = self.domains.know(
            privileged_domid, self.clock.now, privileged=True
        )
        self.own = self.domains.know(own, self.clock.now)
        self.own.introduced = True
        self.own.stays = self.privileged.stays = True
        perms = owner_only(privileged_domid)
        tree = Tree(self.clock, Node(0, b"", perms, 0))
        tree.kept_below = 0
        self.live = Live(tree, self.quotas, self.usage)
        everyone = Permissions((Entry(NONE, privileged_domid), Entry(READ, DOMID_ANY)))
        names = (ROOT[0], perms), (INTRODUCE_DOMAIN, perms), (RELEASE_DOMAIN, everyone)
        for name, list_of in names:
            spine = [tree.top]
            tree.add((name,), spine, b"", list_of)
            self.live.charge_node(spine[-1], 1)
        self.live.mkdir(self.privileged.caller, (b"", b"tool", b"xenstored"))

    @property
    def generation(self) -> int:
        """Generation of the latest change."""
        return self.clock.now

    @property
    def pulse(self) -> int:
        """Grows with every change of state, so that whoever sees it knows of one."""
        return self.clock.now + self.clock.beats

    @property
    def listening(self) -> bool:
        """Whether somebody beside watches wants to know what changes; see `news`."""
        return self._listening

    @listening.setter
    def listening(self, listening: bool) -> None:
        self._listening = listening
        self.note_or_not()

    @property
    def cause(self) -> Cause | None:
        """Why what is changed from now on is changed."""
        return self.live.cause

    @cause.setter
    def cause(self, cause: Cause | None) -> None:
        self.live.cause = cause

    def take_news(self) -> list[Change]:
        """What has changed since the last call, in order, while `listening`."""
        news = self.news
        if news:
            self.news = []
        return news

    # Nodes.

    def write(
        self,
        caller: Caller,
        path: Path,
        value: bytes,
        transaction: Transaction | None = None,
    ) -> list[Event]:
        """See `View.write`."""
        if transaction is not None:
            transaction.write(caller, path, value)
            return []
        self.live.write(caller, path, value)
        return self._fire()

    def mkdir(
        self, caller: Caller, path: Path, transaction: Transaction | None = None
    ) -> list[Event]:
        """See `View.mkdir`."""
        if transaction is not None:
            transaction.mkdir(caller, path)
            return []
        self.live.mkdir(caller, path)
        return self._fire()

    def rm(
        self, caller: Caller, path: Path, transaction: Transaction | None = None
    ) -> list[Event]:
        """See `View.rm`."""
        if transaction is not None:
            transaction.rm(caller, path)
            return []
        self.live.rm(caller, path)
        return self._fire()

    def set_perms(
        self,
        caller: Caller,
        path: Path,
        perms: Permissions,
        transaction: Transaction | None = None,
    ) -> list[Event]:
        """See `View.set_perms`.

        Raises:
            XenStoreError: What `vet` and `View.set_perms` raise.
        """
        perms = self.vet(caller, perms)
        if transaction is not None:
            transaction.set_perms(caller, path, perms)
            return []
        self.live.set_perms(caller, path, perms)
        return self._fire()

    def vet(self, caller: Caller, perms: Permissions) -> Permissions:
        """Permissions as the caller may set them.

        Returns:
            The same, with entries that name an unknown domain marked stale.

        Raises:
            XenStoreError: ENOSPC for too many entries, ENOENT if the owner does
                not exist.
        """
        self.check_entries(caller, len(perms.entries))
        return self.domains.mark_stale(perms, caller, self.clock.now)

    def check_entries(self, caller: Caller, count: int, path: bytes = b"") -> None:
        """Check that the caller may give a node so many permission entries.

        Raises:
            XenStoreError: ENOSPC; the path is for the log.
        """
        if not caller.privileged:
            self.usage.node_permissions.saw(caller.domid, count)
            limit = self.quotas.limit(caller.domid, NODE_PERMISSIONS)
            if 0 < limit < count:
                raise QuotaExceeded(caller.domid, NODE_PERMISSIONS, limit, path)

    # Transactions.

    def start(self, caller: Caller) -> Transaction:
        """Open a transaction; O(1).

        Raises:
            XenStoreError: ENOSPC.
        """
        self._check_quota(caller, TRANSACTIONS, self.usage.transactions, b"")
        self.usage.transactions.add(caller.domid, 1)
        transaction = Transaction(caller, self.live, self.clock, self.quotas)
        self.transactions.add(transaction)
        return transaction

    def abort(self, transaction: Transaction) -> None:
        """Close a transaction and forget what it did."""
        self.transactions.remove(transaction)
        domid = transaction.caller.domid
        self.usage.transactions.add(domid, -1)
        self.usage.memory.add(domid, -transaction.charged)
        transaction.let_past_go()

    def commit(self, transaction: Transaction) -> list[Event]:
        """Close a transaction; what it did happens now, all of it or nothing.

        Returns:
            The events for what really changed.

        Raises:
            XenStoreError: EAGAIN for a conflict (see transaction.py), ENOMEM if an
                operation in it was refused for a quota, ENOSPC, EACCES.
        """
        self.abort(transaction)
        live = self.live
        try:
            transaction.check()
            changed = transaction.footprint.changed
            if not changed:
                return []
            self.usage.work += 3 * changed
            # Nothing may go wrong afterwards: it is known before what changes.
            made = prepare(transaction, live, self.domains, self.quotas, self.clock)
        finally:
            transaction.count_walks()
        live.tree.adopt(made.branch)
        self.usage.nodes.merge(made.growth.nodes)
        self.usage.memory.merge(made.growth.memory)
        self.usage.mentions.merge(made.growth.mentions)
        self.usage.displaced = live.tree.displaced
        self.transactions.expel_old(live.tree.displaced)
        return self._tell(made.changes, leaves_first=False)

    # Watches.

    def watch(self, watch: Watch) -> None:
        """Register a watch.

        Raises:
            XenStoreError: ENOSPC, ENOMEM. That no connection has two watches with
                the same path and token is for the caller to see to.
        """
        caller = watch.caller
        self._check_quota(caller, WATCHES, self.usage.watches, watch.shown)
        self.live.check_memory(caller.domid, watch.size, watch.shown)
        self.usage.watches.add(caller.domid, 1)
        self.usage.memory.add(caller.domid, watch.size)
        self.usage.work += 1 + len(watch.path) // 4
        self.watches.add(watch)
        self.note_or_not()

    def unwatch(self, watch: Watch) -> None:
        """Take out a registered watch."""
        self.usage.work += 1 + len(watch.path) // 4
        self.watches.remove(watch)
        self.note_or_not()
        self.usage.watches.add(watch.caller.domid, -1)
        self.usage.memory.add(watch.caller.domid, -watch.size)

    # Domains.

    def know(self, domid: int) -> Domain:
        """The domain of that id, made known if it is new."""
        return self.domains.know(domid, self.clock.now)

    def unknow(self, domid: int) -> None:
        """Take `know` of a new domain back, of which nothing was said since.

        Unlike `end` this touches no node: what named nobody before still does.
        """
        self._let_go(domid)

    def introduce(self, domid: int, port: int) -> list[Event]:
        """Introduce a domain, or introduce it again with another port.

        Returns:
            @introduceDomain for a domain that was not introduced yet.
        """
        domain = self.domains.know(domid, self.clock.tick())
        domain.port = port
        if domain.introduced:
            return []
        domain.introduced = True
        self.live.epoch += 1
        return self.tell_domain(INTRODUCE_DOMAIN, domid)

    def end(self, domids: list[int], *, keep_orphans: bool = False) -> list[Event]:
        """End domains, with the nodes they own and the rights they were given.

        A later domain of the same id has nothing of it (XSA-322, XSA-419). The store
        is walked once for all of them, and only if they have left something.

        Args:
            domids: Known domains, each once.
            keep_orphans: Leave their nodes to the privileged domain. Whoever can
                make domains come and go can fill the memory then.

        Returns:
            For each domain the events of its nodes, then @releaseDomain if it was
            introduced.
        """
        introduced = [self._let_go(domid) for domid in domids]
        leaving = [
            domid
            for domid in domids
            if self.usage.mentions.of(domid) or self.usage.nodes.of(domid)
        ]
        heir = self.privileged
        estate = settle(self.live, leaving, heir.domid, keep_orphans=keep_orphans)
        events: list[Event] = []
        for domid, told in zip(domids, introduced, strict=True):
            for path in estate.paths(domid, self.live.tree.top):
                self.live.rm(heir.caller, path)
            events += self._fire()
            self.usage.forget(domid)
            if told:
                events += self.tell_domain(RELEASE_DOMAIN, domid)
        return events

    def _let_go(self, domid: int) -> bool:
        """Forget a domain itself; tell whether it was introduced."""
        introduced = self.domains.forget(domid).introduced
        self.quotas.forget(domid)
        self.live.epoch += 1
        return introduced

    def shut_down(self, domid: int) -> list[Event]:
        """Note that a domain has shut down.

        Returns:
            The events of watches with a depth. The others are told once after all
            domains have been seen to, by `tell_domain`.
        """
        self.introduced(domid).shut_down = True
        self.clock.beat()
        return self.tell_domain(RELEASE_DOMAIN, domid, plain=False)

    def resume(self, domid: int) -> None:
        """Note that a domain which had shut down runs again.

        Raises:
            XenStoreError: ENOENT if it is not introduced.
        """
        self.introduced(domid).shut_down = False
        self.clock.beat()

    def set_target(self, domid: int, target: int) -> None:
        """Give a domain the rights of another one beside its own.

        Raises:
            XenStoreError: ENOENT if one of them is not introduced.
        """
        domain = self.introduced(domid)
        self.introduced(target)
        domain.caller.target = target
        self.live.epoch += 1
        self.clock.beat()

    def set_features(self, domid: int, features: int) -> None:
        """Choose the server features that a domain is offered.

        Raises:
            XenStoreError: ENOENT if it does not exist, EBUSY if it is introduced,
                EINVAL for unknown features.
        """
        domain = self.known(domid)
        if domain.introduced:
            raise XenStoreError(Errno.EBUSY, f"dom{domid} is introduced")
        if features & ~FEATURES:
            raise XenStoreError(Errno.EINVAL, f"unknown features {features}")
        domain.features = features
        self.clock.beat()

    def set_quota(self, domid: int, name: str, value: int) -> None:
        """Change a limit; domid -1 changes the common one. See `Quotas.set`.

        Raises:
            XenStoreError: EINVAL for an unknown name.
        """
        self.quotas.set(domid, name, value)

    def saw_path(self, domid: int, length: int) -> None:
        """Note how long a path a guest has used."""
        self.usage.path_max.saw(domid, length)

    def known(self, domid: int) -> Domain:
        """The domain of that id, introduced or not; it is known from now on.

        Raises:
            XenStoreError: ENOENT if it does not exist.
        """
        domain = self.domains.find(domid, self.clock.now)
        if domain is None:
            raise XenStoreError(Errno.ENOENT, f"dom{domid} does not exist")
        return domain

    def introduced(self, domid: int) -> Domain:
        """The domain of that id.

        Raises:
            XenStoreError: ENOENT if it is not introduced.
        """
        domain = self.domains.get(domid)
        if domain is None or not domain.introduced:
            raise XenStoreError(Errno.ENOENT, f"dom{domid} is not introduced")
        return domain

    def tell_domain(
        self, name: bytes, domid: int, *, plain: bool = True, deep: bool = True
    ) -> list[Event]:
        """The events of a special name; see `WatchIndex.special_hits`."""
        top = self.live.tree.top
        return special_events(self.watches, top, name, domid, plain=plain, deep=deep)

    def view(self, transaction: Transaction | None) -> View:
        """What a request sees: its transaction, or the current state."""
        return self.live if transaction is None else transaction

    # Common parts.

    def _fire(self) -> list[Event]:
        """The events for what has just been done to the current state."""
        live = self.live
        displaced = self.usage.displaced = live.tree.displaced
        if displaced >= self.transactions.expel_at:
            self.transactions.expel_old(displaced)
        if not live.changes:
            return _NO_EVENTS
        return self._tell(live.take_changes(), leaves_first=True)

    def _tell(self, changes: list[Change], *, leaves_first: bool) -> list[Event]:
        """The events for what has happened; see `events_for`."""
        if not changes:
            return _NO_EVENTS
        if self._listening:
            self.news.extend(changes)
        try:
            watches, audience = self.watches, self.audience
            events = events_for(watches, audience, changes, leaves_first=leaves_first)
        except Exception as defect:  # noqa: BLE001  what has happened stands
            self.defects.append(defect)
            return []
        self.usage.work += len(events)
        return events

    def note_or_not(self) -> None:
        """Have changes listed only while there is somebody who wants to know."""
        self.live.noting = self._listening or self.watches.count > 0

    def _check_quota(self, who: Caller, name: str, used: Account, path: bytes) -> None:
        if not who.privileged:
            limit = self.quotas.limit(who.domid, name)
            if 0 < limit <= used.of(who.domid):
                raise QuotaExceeded(who.domid, name, limit, path)
