"""The domains that the daemon knows, whether or not they have a connection."""

from typing import final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import DOMID_ANY
from xsd.protocol.ops import FEATURE_DOMID_ANY, FEATURES
from xsd.protocol.perms import Caller, Entry, Permissions, names_a_domain
from xsd.store.census import Census, NoCensus
from xsd.store.clock import Clock


@final
class Domain:
    """One domain, from its first mention to its end.

    A domain id can be used again; the object cannot. What names a domain id is
    therefore only valid for the object that was there when it was set.

    Attributes:
        domid: Its number.
        born: Generation of the store when it became known.
        unique_id: What the hypervisor tells it from others by; see `Census`.
        introduced: Whether it has been introduced and not released.
        shut_down: Whether that has been told; RESUME takes it back.
        stays: It is the daemon's own or the control domain, which have no end.
        port: Event channel given when it was introduced, 0 for none.
        features: Server features that it is offered.
        caller: Who it is in requests; SET_TARGET changes it in place.
    """

    __slots__ = (
        "born",
        "caller",
        "domid",
        "features",
        "introduced",
        "port",
        "shut_down",
        "stays",
        "unique_id",
    )

    def __init__(
        self, domid: int, unique_id: int, born: int, *, privileged: bool
    ) -> None:
        self.domid = domid
        self.unique_id = unique_id
        self.born = born
        self.introduced = False
        self.shut_down = False
        self.stays = False
        self.port = 0
        self.features = FEATURES
        self.caller = Caller(domid, privileged=privileged)


@final
class Domains:
    """Table of known domains by id.

    A domain is known when it is introduced, or when something is about to be said
    of it and the hypervisor has it: the toolstack gives a domain its permissions
    before it introduces it.

    Attributes:
        census: Which domains there are.
    """

    __slots__ = ("_clock", "_domains", "census")

    def __init__(
        self, census: Census | None = None, clock: Clock | None = None
    ) -> None:
        self.census = NoCensus() if census is None else census
        self._clock = Clock() if clock is None else clock
        self._domains: dict[int, Domain] = {}

    def get(self, domid: int) -> Domain | None:
        """The known domain of that id, or None."""
        return self._domains.get(domid)

    def all(self) -> list[Domain]:
        """Every known domain in the order in which they became known."""
        return list(self._domains.values())

    def know(self, domid: int, now: int, *, privileged: bool = False) -> Domain:
        """The domain of that id, made known at generation `now` if it is new."""
        domain = self._domains.get(domid)
        if domain is None:
            unique_id = self.census.unique_id(domid) or 0
            domain = Domain(domid, unique_id, now, privileged=privileged)
            self._domains[domid] = domain
            self._clock.beat()
        return domain

    def find(self, domid: int, now: int) -> Domain | None:
        """The domain of that id if it is known or the hypervisor has it."""
        domain = self._domains.get(domid)
        if domain is None and self.census.unique_id(domid) is not None:
            domain = self.know(domid, now)
        return domain

    def restore(self, domains: list[Domain]) -> None:
        """Know these, and no others."""
        self._domains = {domain.domid: domain for domain in domains}

    def forget(self, domid: int) -> Domain:
        """Remove a domain and return it; nobody has it as a target any longer."""
        self._clock.beat()
        gone = self._domains.pop(domid)
        for domain in self._domains.values():
            if domain.caller.target == domid:
                domain.caller.target = -1
        return gone

    def mark_stale(self, perms: Permissions, caller: Caller, now: int) -> Permissions:
        """Permissions about to be set, with entries that name nobody marked.

        Raises:
            XenStoreError: ENOENT if the owner does not exist, or is to be every domain
                and the caller may not name that.
        """
        owner = perms.owner
        if not self._grants(perms.entries[0], caller, now):
            raise XenStoreError(Errno.ENOENT, f"owner dom{owner} does not exist")
        entries = perms.entries
        marked = [
            Entry(entry.rights, entry.domid, stale=not self._grants(entry, caller, now))
            for entry in entries[1:]
        ]
        for entry in marked:
            if entry.stale:
                return Permissions((entries[0], *marked))
        return perms

    def outdates(self, perms: Permissions, since: int) -> bool:
        """Tell whether a domain named in permissions set at `since` is gone.

        A domain that became known at that very generation came afterwards: the
        generation is that of the setting, and to become known takes none.
        """
        for entry in perms.entries:
            if entry.stale or not names_a_domain(entry.domid):
                continue
            domain = self._domains.get(entry.domid)
            if domain is None or domain.born >= since:
                return True
        return False

    def _grants(self, entry: Entry, caller: Caller, now: int) -> bool:
        """Tell whether an entry names an existing domain, or may name all."""
        if entry.domid != DOMID_ANY:
            return self.find(entry.domid, now) is not None
        if caller.privileged:
            return True
        domain = self._domains.get(caller.domid)
        return domain is not None and domain.features & FEATURE_DOMID_ANY != 0
