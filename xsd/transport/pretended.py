"""A Unix socket for each pretended domain.

Whoever connects to ``<socket>.dom5`` is domain 5: for tools and tests that need a
guest's identity and no ring.
"""

import socket
from typing import final

from xsd.engine import Notice
from xsd.hypervisor.base import DYING, Hypervisor
from xsd.transport.listening import take_away
from xsd.transport.reactor import Reactor
from xsd.transport.unix import UnixServer


@final
class GuestSockets:
    """Has a socket where there is a domain."""

    def __init__(self, reactor: Reactor, hypervisor: Hypervisor, path: str) -> None:
        """Make an object that does nothing until `update`.

        Args:
            reactor: Looks after the sockets.
            hypervisor: Whose domains they are.
            path: Of our own domain's socket; those of the domains are named after it.
        """
        self._reactor = reactor
        self._hypervisor = hypervisor
        self._path = path
        self._servers: dict[int, UnixServer] = {}
        self._unique_ids: dict[int, int] = {}

    def update(self) -> None:
        """Open sockets for new domains and close those of domains that are gone.

        Raises:
            OSError: If the hypervisor does not say which domains there are; one that
                it says nothing about keeps what it has.
        """
        living: dict[int, int] = {}
        for domid in self._hypervisor.domains():
            if domid == self._reactor.engine.store.own.domid:
                continue
            try:
                state = self._hypervisor.state(domid)
            except OSError as error:
                self._note("error", "domain.state_unknown", domid, error)
                if domid in self._servers:
                    living[domid] = self._unique_ids[domid]
                continue
            if state is not None and state.state != DYING:
                living[domid] = state.unique_id
        for domid in list(self._servers):
            if living.get(domid) != self._unique_ids[domid]:
                self._servers.pop(domid).close()
        for domid, unique_id in living.items():
            if domid not in self._servers:
                self._open(domid, unique_id)

    def take_over(self, kept: dict[str, int]) -> None:
        """Go on to listen for another process.

        Args:
            kept: Descriptors of the listening sockets by domain id, as text.

        Raises:
            OSError: If one of them is none.
        """
        for text, descriptor in kept.items():
            domid = int(text)
            state = self._hypervisor.state(domid)
            if state is not None:
                server = UnixServer(self._reactor, self._place(domid), domid)
                server.start(socket.socket(fileno=descriptor), is_own=True)
                self._servers[domid] = server
                self._unique_ids[domid] = state.unique_id

    def servers(self) -> dict[int, UnixServer]:
        """The servers of domains."""
        return self._servers

    def close(self) -> None:
        """Close all of them."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def _open(self, domid: int, unique_id: int) -> None:
        path = self._place(domid)
        server = UnixServer(self._reactor, path, domid)
        take_away(path)
        try:
            server.start(contested=False)
        except OSError as error:
            self._note("error", "domain.no_socket", domid, error)
            return
        self._servers[domid] = server
        self._unique_ids[domid] = unique_id

    def _place(self, domid: int) -> str:
        return f"{self._path}.dom{domid}"

    def _note(self, level: str, event: str, domid: int, error: OSError) -> None:
        fields: dict[str, object] = {"domid": domid, "reason": str(error)}
        self._reactor.note(Notice(level, event, fields))
