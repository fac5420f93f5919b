"""Quotas: what a guest may use at most. What it does use is in usage.py.

"At most N" is meant exactly: a domain with the limit N may have N, not N - 1 and
not N + 1. The limit 0 is no limit. Privileged callers are never refused, yet what
they put into a guest's possession is counted as that guest's.
"""

from typing import Final, final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import REL_PATH_MAX
from xsd.store.clock import Clock

NODES: Final = "nodes"
WATCHES: Final = "watches"
OUTSTANDING: Final = "outstanding"
MEMORY: Final = "memory"
TRANSACTIONS: Final = "transactions"
TRANSACTION_NODES: Final = "transaction-nodes"
NODE_PERMISSIONS: Final = "node-permissions"
PATH_MAX: Final = "path-max"
NODE_SIZE: Final = "node-size"

EVENTS: Final = "events"
"""No quota, but told as one: see `xsd.store.events.EVENTS_MAX`."""

DEFAULTS: Final[dict[str, int]] = {
    NODES: 1000,
    WATCHES: 128,
    OUTSTANDING: 20,
    MEMORY: 2 * 1024 * 1024 + 512 * 1024,
    TRANSACTIONS: 10,
    TRANSACTION_NODES: 1024,
    NODE_PERMISSIONS: 5,
    PATH_MAX: REL_PATH_MAX,
    NODE_SIZE: 2048,
}
"""Limits by name, in C xenstored's order; sizes in bytes."""

SOFT_DEFAULTS: Final[dict[str, int]] = {MEMORY: 2 * 1024 * 1024}
"""Limits from which on use is only remarked on."""

SOFT_PREFIX: Final = "soft-"


@final
class Quotas:
    """The limits: one set for all guests, and exceptions for single ones."""

    __slots__ = ("_clock", "_exempt", "_hard", "_own", "_soft")

    def __init__(
        self, privileged: int = 0, clock: Clock | None = None, own: int | None = None
    ) -> None:
        """Make the default limits.

        Args:
            privileged: The privileged domain, which has none.
            clock: Is told of changes.
            own: The domain that the daemon runs in, if it is another one; it has none
                either.
        """
        self._clock = Clock() if clock is None else clock
        self._exempt = (privileged, privileged if own is None else own)
        self._hard = dict(DEFAULTS)
        self._soft = dict(SOFT_DEFAULTS)
        self._own: dict[int, dict[str, int]] = {}

    def names(self) -> list[str]:
        """Names that `get` and `set` take, a soft limit after its hard one, as C."""
        names: list[str] = []
        for name in self._hard:
            names.append(name)
            if name in self._soft:
                names.append(SOFT_PREFIX + name)
        return names

    def limit(self, domid: int, name: str) -> int:
        """The hard limit that holds for a domain; 0 is none."""
        if domid in self._exempt:
            return 0
        own = self._own.get(domid)
        if own is not None and name in own:
            return own[name]
        return self._hard[name]

    def soft_limit(self, domid: int, name: str) -> int:
        """The limit from which on a domain's use is remarked on; 0 is none."""
        if domid in self._exempt:
            return 0
        return self.get(domid, SOFT_PREFIX + name)

    def get(self, domid: int, name: str) -> int:
        """A limit by its name on the wire; domid -1 asks for the common one.

        Raises:
            XenStoreError: EINVAL for an unknown name.
        """
        own = self._own.get(domid)
        if own is not None and name in own:
            return own[name]
        return self._set_of(name)[name.removeprefix(SOFT_PREFIX)]

    def set(self, domid: int, name: str, value: int) -> None:
        """Change a limit; domid -1 changes the common one.

        What is already in use stays: only growth is refused.

        Raises:
            XenStoreError: EINVAL for an unknown name.
        """
        common = self._set_of(name)
        self._clock.beat()
        if domid < 0:
            common[name.removeprefix(SOFT_PREFIX)] = value
        else:
            self._own.setdefault(domid, {})[name] = value

    def of_domain(self, domid: int) -> dict[str, int]:
        """The exceptions of a domain."""
        return dict(self._own.get(domid, {}))

    def forget(self, domid: int) -> None:
        """Drop the exceptions of a domain that is gone."""
        self._own.pop(domid, None)

    def described(self) -> tuple[dict[str, int], dict[str, int], list[object]]:
        """All of it as plain values: hard and soft limits, and single domains' own."""
        own: list[object] = [
            (domid, sorted(limits.items()))
            for domid, limits in sorted(self._own.items())
        ]
        return dict(self._hard), dict(self._soft), own

    def restore(
        self, hard: dict[str, int], soft: dict[str, int], own: dict[int, dict[str, int]]
    ) -> None:
        """Become what `described` told of others; unknown names are left out."""
        self._hard.update({name: hard[name] for name in self._hard if name in hard})
        self._soft.update({name: soft[name] for name in self._soft if name in soft})
        self._own = own

    def _set_of(self, name: str) -> dict[str, int]:
        if name in self._hard:
            return self._hard
        if (
            name.startswith(SOFT_PREFIX)
            and name.removeprefix(SOFT_PREFIX) in self._soft
        ):
            return self._soft
        raise XenStoreError(Errno.EINVAL, "unknown quota", name.encode())
