"""The store: all that a request can do, and what becomes of it."""

from typing import Final, final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import DOMID_ANY
from xsd.protocol.path import ROOT, Path, format_path
from xsd.protocol.perms import (
    NONE,
    READ,
    Caller,
    Entry,
    Permissions,
    owner_only,
)
from xsd.store.census import Census
from xsd.store.changes import Cause, Change
from xsd.store.commit import changes_between, outgrown, replay
from xsd.store.domains import Domain, Domains
from xsd.store.estate import drop_rights, topmost_owned
from xsd.store.events import Audience, Event, events_for, may_read
from xsd.store.exceeded import QuotaExceeded
from xsd.store.live import Live
from xsd.store.node import Node
from xsd.store.past import OpenTransactions
from xsd.store.quota import (
    NODE_PERMISSIONS,
    NODE_SIZE,
    NODES,
    TRANSACTIONS,
    WATCHES,
    Quotas,
)
from xsd.store.transaction import Transaction
from xsd.store.tree import Clock, Tree, find
from xsd.store.usage import Account, Growth, Usage
from xsd.store.view import View
from xsd.store.watches import Watch, WatchIndex

INTRODUCE_DOMAIN: Final = b"@introduceDomain"
RELEASE_DOMAIN: Final = b"@releaseDomain"

_TOOL: Final[Path] = (b"", b"tool", b"xenstored")


@final
class Store:
    """The tree, its watches, its domains and their quotas.

    Node operations take the transaction they belong to, or None. Those that
    change something return the watch events that are due, in order; inside a
    transaction that is none until it is committed.

    Attributes:
        privileged: The domain that may do everything; dom0.
        live: The current state.
        watches: Every watch.
        domains: Every known domain.
        quotas: Limits.
        usage: What each domain uses.
        transactions: The open ones.
    """

    __slots__ = (
        "_audience",
        "_clock",
        "domains",
        "live",
        "privileged",
        "quotas",
        "transactions",
        "usage",
        "watches",
        "cause",
        "news",
        "defects",
        "listening",
        "_p",
    )

    @property
    def pulse(self) -> int:
        self._p += 1
        return self._p

    def know(self, domid: int) -> Domain:
        return self.domains.know(domid, self.generation)

    def set_features(self, domid: int, features: int) -> None:
        domain = self.known(domid)
        if domain.introduced:
            raise XenStoreError(Errno.EBUSY, f"dom{domid} is introduced")
        from xsd.protocol.ops import FEATURES

        if features & ~FEATURES:
            raise XenStoreError(Errno.EINVAL, f"unknown features {features}")
        domain.features = features

    def set_quota(self, domid: int, name: str, value: int) -> None:
        self.quotas.set(domid, name, value)

    def take_news(self) -> list[Change]:
        n, self.news = self.news, []
        return n

    def view(self, transaction: Transaction | None) -> View:
        return self._view(transaction)

    def __init__(self, privileged_domid: int = 0, census: Census | None = None) -> None:
        self._clock = Clock()
        self.cause: Cause | None = None
        self.news: list[Change] = []
        self.defects: list[BaseException] = []
        self.listening = False
        self._p = 0
        self.quotas = Quotas(privileged_domid)
        self.usage = Usage()
        self._audience = Audience(self.quotas, self.usage)
        self.domains = Domains(census)
        self.watches = WatchIndex()
        self.transactions = OpenTransactions()
        self.privileged = self.domains.know(
            privileged_domid, self._clock.now, privileged=True
        )
        self.privileged.introduced = True
        perms = owner_only(privileged_domid)
        tree = Tree(self._clock, Node(0, b"", perms, 0))
        self.live = Live(tree, self.quotas, self.usage)
        everyone = Permissions((Entry(NONE, privileged_domid), Entry(READ, DOMID_ANY)))
        for name, list_of in (
            (ROOT[0], perms),
            (INTRODUCE_DOMAIN, perms),
            (RELEASE_DOMAIN, everyone),
        ):
            spine = [tree.top]
            tree.add((name,), spine, b"", list_of)
            self.live.charge_node(spine[-1], 1)
        self.live.mkdir(self.privileged.caller, _TOOL)
        self.live.take_changes()

    @property
    def generation(self) -> int:
        """Generation of the latest change."""
        return self._clock.now

    # Nodes.

    def read(
        self, caller: Caller, path: Path, transaction: Transaction | None = None
    ) -> bytes:
        """See `View.read`."""
        return self._view(transaction).read(caller, path)

    def directory(
        self, caller: Caller, path: Path, transaction: Transaction | None = None
    ) -> bytes:
        """See `View.directory`."""
        return self._view(transaction).directory(caller, path)

    def directory_part(
        self,
        caller: Caller,
        path: Path,
        offset: int,
        transaction: Transaction | None = None,
    ) -> bytes:
        """See `View.directory_part`."""
        return self._view(transaction).directory_part(caller, path, offset)

    def get_perms(
        self, caller: Caller, path: Path, transaction: Transaction | None = None
    ) -> Permissions:
        """See `View.get_perms`."""
        return self._view(transaction).get_perms(caller, path)

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
        return self.domains.mark_stale(perms, caller, self._clock.now)

    def check_entries(self, caller: Caller, count: int) -> None:
        """Check that the caller may give a node so many permission entries.

        Raises:
            XenStoreError: ENOSPC.
        """
        if not caller.privileged:
            self.usage.node_permissions.saw(caller.domid, count)
            limit = self.quotas.limit(caller.domid, NODE_PERMISSIONS)
            if 0 < limit < count:
                raise QuotaExceeded(caller.domid, NODE_PERMISSIONS, limit)

    # Transactions.

    def start(self, caller: Caller) -> Transaction:
        """Open a transaction; O(1).

        Raises:
            XenStoreError: ENOSPC.
        """
        self._check_quota(caller, TRANSACTIONS, self.usage.transactions)
        self.usage.transactions.add(caller.domid, 1)
        transaction = Transaction(caller, self.live, self._clock, self.quotas)
        self.transactions.add(transaction)
        return transaction

    def abort(self, transaction: Transaction) -> None:
        """Close a transaction and forget what it did."""
        self.transactions.remove(transaction)
        domid = transaction.caller.domid
        self.usage.transactions.add(domid, -1)
        self.usage.memory.add(domid, -transaction.charged)

    def commit(self, transaction: Transaction) -> list[Event]:
        """Close a transaction; what it did happens now, all of it or nothing.

        Returns:
            The events for what really changed.

        Raises:
            XenStoreError: EAGAIN for a conflict (see transaction.py), ENOMEM if an
                operation in it was refused for a quota, ENOSPC, EACCES.
        """
        self.abort(transaction)
        transaction.check()
        if not transaction.touched:
            return []
        # Compared, made and told of.
        self.usage.work += 3 * len(transaction.touched)
        live = self.live
        before = live.tree.top
        if transaction.is_current():
            branch, growth = transaction.tree, transaction.growth
        else:
            self._check_names(transaction)
            branch, growth = replay(transaction, before, self._clock)
        if not transaction.caller.privileged:
            self._check_growth(growth)
            self._check_sizes(transaction, before, branch.top)
        live.tree.adopt(branch)
        self.usage.nodes.merge(growth.nodes)
        self.usage.memory.merge(growth.memory)
        changes = changes_between(transaction, before, branch.top)
        self.transactions.free_the_past(self.live.tree.displaced)
        return self._events(changes, before, branch.top, leaves_first=False)

    # Watches.

    def watch(self, watch: Watch) -> None:
        """Register a watch.

        Raises:
            XenStoreError: ENOSPC, ENOMEM. That no connection has two watches with
                the same path and token is for the caller to see to.
        """
        caller = watch.caller
        self._check_quota(caller, WATCHES, self.usage.watches)
        self.live.check_memory(caller.domid, watch.size, watch.shown)
        self.usage.watches.add(caller.domid, 1)
        self.usage.memory.add(caller.domid, watch.size)
        self.watches.add(watch)

    def unwatch(self, watch: Watch) -> None:
        """Take out a registered watch."""
        self.watches.remove(watch)
        self.usage.watches.add(watch.caller.domid, -1)
        self.usage.memory.add(watch.caller.domid, -watch.size)

    # Domains.

    def introduce(self, domid: int, port: int) -> list[Event]:
        """Introduce a domain, or introduce it again with another port.

        Returns:
            @introduceDomain for a domain that was not introduced yet.
        """
        domain = self.domains.know(domid, self._clock.tick())
        domain.port = port
        if domain.introduced:
            return []
        domain.introduced = True
        self.live.epoch += 1
        return self.tell_domain(INTRODUCE_DOMAIN, domid)

    def release(self, domid: int, *, keep_orphans: bool = False) -> list[Event]:
        """End an introduced domain, by RELEASE or because it is gone; see `forget`.

        Returns:
            The events of its nodes, then @releaseDomain.

        Raises:
            XenStoreError: ENOENT if it is not introduced.
        """
        self.introduced(domid)
        events = self.forget(domid, keep_orphans=keep_orphans)
        return events + self.tell_domain(RELEASE_DOMAIN, domid)

    def forget(self, domid: int, *, keep_orphans: bool = False) -> list[Event]:
        """Forget a domain, with the nodes it owns and the rights it was given.

        A later domain of the same id has nothing of it (XSA-322, XSA-419).

        Args:
            domid: A known domain.
            keep_orphans: Leave its nodes to the privileged domain. Whoever can
                make domains come and go can fill the memory then.

        Returns:
            The events of its nodes.
        """
        self.domains.forget(domid)
        self.quotas.forget(domid)
        self.live.epoch += 1
        heir = self.privileged
        if not keep_orphans:
            for path in topmost_owned(self.live.tree.top, domid):
                self.live.rm(heir.caller, path)
        events = self._fire()
        drop_rights(self.live, domid, heir.domid)
        self.usage.forget(domid)
        return events

    def shut_down(self, domid: int) -> list[Event]:
        """Note that a domain has shut down.

        Returns:
            The events of watches with a depth. The others are told once after all
            domains have been seen to, by `tell_domain`.
        """
        self.introduced(domid).shut_down = True
        return self.tell_domain(RELEASE_DOMAIN, domid, plain=False)

    def resume(self, domid: int) -> None:
        """Note that a domain which had shut down runs again.

        Raises:
            XenStoreError: ENOENT if it is not introduced.
        """
        self.introduced(domid).shut_down = False

    def set_target(self, domid: int, target: int) -> None:
        """Give a domain the rights of another one beside its own.

        Raises:
            XenStoreError: ENOENT if one of them is not introduced.
        """
        domain = self.introduced(domid)
        self.introduced(target)
        domain.caller.target = target
        self.live.epoch += 1

    def known(self, domid: int) -> Domain:
        """The domain of that id, introduced or not; it is known from now on.

        Raises:
            XenStoreError: ENOENT if it does not exist.
        """
        domain = self.domains.find(domid, self._clock.now)
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
        node = find(self.live.tree.top, (name,))
        perms = None if node is None else node.perms
        return [
            Event(watch, path)
            for watch, path in self.watches.special_hits(
                name, domid, plain=plain, deep=deep
            )
            if may_read(watch.caller, perms)
        ]

    # Common parts.

    def _view(self, transaction: Transaction | None) -> View:
        return self.live if transaction is None else transaction

    def _fire(self) -> list[Event]:
        """The events for what has just been done to the current state."""
        changes = self.live.take_changes()
        top = self.live.tree.top
        self.transactions.free_the_past(self.live.tree.displaced)
        return self._events(changes, top, top, leaves_first=True)

    def _events(
        self, changes: list[Change], before: Node, after: Node, *, leaves_first: bool
    ) -> list[Event]:
        """See `events_for`."""
        if self.listening:
            self.news += changes
            for c in changes:
                c.cause = self.cause
        events = events_for(
            self.watches,
            self._audience,
            changes,
            before,
            after,
            leaves_first=leaves_first,
        )
        self.usage.work += len(events)
        return events

    def _check_quota(self, caller: Caller, name: str, account: Account) -> None:
        if not caller.privileged:
            limit = self.quotas.limit(caller.domid, name)
            if 0 < limit <= account.of(caller.domid):
                raise QuotaExceeded(caller.domid, name, limit)

    def _check_growth(self, growth: Growth) -> None:
        """Refuse a commit that would take a domain over what it may own."""
        for domid, count in growth.nodes.used.items():
            limit = self.quotas.limit(domid, NODES)
            if count > 0 and 0 < limit < self.usage.nodes.of(domid) + count:
                raise QuotaExceeded(domid, NODES, limit)
        for domid, size in growth.memory.used.items():
            if size > 0:
                self.live.check_memory(domid, size)

    def _check_sizes(self, transaction: Transaction, before: Node, after: Node) -> None:
        """Refuse a commit that would make a node too big for the caller."""
        domid = transaction.caller.domid
        limit = self.quotas.limit(domid, NODE_SIZE)
        path = outgrown(transaction, before, after, limit) if limit > 0 else None
        if path is not None:
            raise QuotaExceeded(domid, NODE_SIZE, limit, format_path(path))

    def _check_names(self, transaction: Transaction) -> None:
        """Refuse permissions that name a domain which is gone by now."""
        if transaction.epoch == self.live.epoch:
            return
        for path in transaction.touched:
            node = find(transaction.tree.top, path)
            if (
                node is not None
                and node.perms_changed > transaction.since
                and self.domains.outdates(node.perms, node.perms_changed)
            ):
                raise XenStoreError(
                    Errno.EAGAIN, "names a domain that is gone", format_path(path)
                )
