"""A Unix socket for each pretended domain.

Whoever connects to ``<socket>.dom5`` is domain 5: for tools and tests that need a
guest's identity and no ring.
"""

from typing import final

from xsd.engine import Notice
from xsd.hypervisor.base import DYING, Hypervisor
from xsd.protocol.perms import Caller
from xsd.transport.pump import Pump
from xsd.transport.unix import UnixServer, take_away


@final
class GuestSockets:
    """Has a socket where there is a domain."""

    def __init__(self, pump: Pump, hypervisor: Hypervisor, path: str) -> None:
        """Make an object that does nothing until `update`.

        Args:
            pump: Where requests go.
            hypervisor: Whose domains they are.
            path: Of dom0's socket; those of the domains are named after it.
        """
        self._pump = pump
        self._hypervisor = hypervisor
        self._path = path
        self._servers: dict[int, UnixServer] = {}
        self._unique_ids: dict[int, int] = {}

    def update(self) -> None:
        """Open sockets for new domains and close those of domains that are gone."""
        living: dict[int, int] = {}
        for domid in self._hypervisor.domains():
            state = self._hypervisor.state(domid)
            if domid and state is not None and state.state != DYING:
                living[domid] = state.unique_id
        for domid in list(self._servers):
            if living.get(domid) != self._unique_ids[domid]:
                self._servers.pop(domid).close()
        for domid, unique_id in living.items():
            if domid not in self._servers:
                self._open(domid, unique_id)

    def close(self) -> None:
        """Close all of them."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def _open(self, domid: int, unique_id: int) -> None:
        store = self._pump.engine.store

        def identify() -> Caller:
            return store.know(domid).caller

        path = f"{self._path}.dom{domid}"
        server = UnixServer(self._pump, path, identify)
        take_away(path)
        try:
            server.start()
        except OSError as error:
            fields: dict[str, object] = {"domid": domid, "reason": str(error)}
            self._pump.on_notice(Notice("error", "domain.no_socket", fields))
            return
        self._servers[domid] = server
        self._unique_ids[domid] = unique_id
