"""The domains that the daemon knows, whether or not they have a connection."""

from typing import final

from protocol.errors import Errno, XenStoreError
from protocol.limits import DOMID_ANY
from protocol.ops import FEATURE_DOMID_ANY, FEATURES
from protocol.perms import Caller, Entry, Permissions, names_a_domain


@final
class Domain:
    """One domain, from its first mention to its end.

    A domain id can be used again; the object cannot. What names a domain id is
    therefore only valid for the object that was there when it was set.

    Attributes:
        domid: Its number.
        born: Generation of the store when it became known.
        introduced: Whether it has been introduced and not released.
        port: Event channel given when it was introduced, 0 for none.
        features: Server features that it is offered.
        caller: Who it is in requests; SET_TARGET changes it in place.
    """

    __slots__ = ("born", "caller", "domid", "features", "introduced", "port")

    def __init__(self, domid: int, born: int, *, privileged: bool) -> None:
        self.domid = domid
        self.born = born
        self.introduced = False
        self.port = 0
        self.features = FEATURES
        self.caller = Caller(domid, privileged=privileged)


@final
class Domains:
    """Table of known domains by id."""

    __slots__ = ("_domains",)

    def __init__(self) -> None:
        self._domains: dict[int, Domain] = {}

    def get(self, domid: int) -> Domain | None:
        """The domain of that id, or None."""
        return self._domains.get(domid)

    def all(self) -> list[Domain]:
        """Every known domain in the order in which they became known."""
        return list(self._domains.values())

    def know(self, domid: int, now: int, *, privileged: bool = False) -> Domain:
        """The domain of that id, made known at generation `now` if it is new."""
        domain = self._domains.get(domid)
        if domain is None:
            domain = Domain(domid, now, privileged=privileged)
            self._domains[domid] = domain
        return domain

    def forget(self, domid: int) -> None:
        """Remove a domain; nobody has it as a target any longer."""
        del self._domains[domid]
        for domain in self._domains.values():
            if domain.caller.target == domid:
                domain.caller.target = -1

    def mark_stale(self, perms: Permissions, caller: Caller) -> Permissions:
        """Permissions about to be set, with entries that name nobody marked.

        Raises:
            XenStoreError: ENOENT if the owner does not exist.
        """
        owner = perms.owner
        if owner != DOMID_ANY and owner not in self._domains:
            raise XenStoreError(Errno.ENOENT, f"owner dom{owner} does not exist")
        entries = perms.entries
        marked = [
            Entry(entry.rights, entry.domid, stale=not self._grants(entry, caller))
            for entry in entries[1:]
        ]
        for entry in marked:
            if entry.stale:
                return Permissions((entries[0], *marked))
        return perms

    def outdates(self, perms: Permissions, since: int) -> bool:
        """Tell whether a domain named in permissions set at `since` is gone."""
        for entry in perms.entries:
            if entry.stale or not names_a_domain(entry.domid):
                continue
            domain = self._domains.get(entry.domid)
            if domain is None or domain.born > since:
                return True
        return False

    def _grants(self, entry: Entry, caller: Caller) -> bool:
        """Tell whether an entry names a known domain, or may name all."""
        if entry.domid != DOMID_ANY:
            return entry.domid in self._domains
        if caller.privileged:
            return True
        domain = self._domains.get(caller.domid)
        return domain is not None and domain.features & FEATURE_DOMID_ANY != 0
