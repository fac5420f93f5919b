"""A client that behaves well and checks every answer; as a guest a process of its own.

    python -m tests.soak.polite SOCKET DOMID

is a guest in a new domain until its standard input ends. It prints a line when it is
served, and at the end how many answers it has checked. The first wrong one, or one that
does not come, is an exception.
"""

import sys
import threading
from typing import Final, final

from tests.soak.hostile import PATIENCE_S
from tests.support.homes import home, welcome
from xsd.client import Client
from xsd.protocol.errors import Errno, XenStoreError
from xsd.testing import PretendedHost

NODES: Final = 8

PAUSE_S: Final = 0.005
"""Seconds between two turns: who behaves well is not what the daemon is busy with."""


@final
class WrongAnswerError(Exception):
    """The daemon answered something else than it must."""


@final
class Polite:
    """Uses nodes of its own as clients do."""

    def __init__(self, client: Client, place: bytes) -> None:
        """Begin."""
        self.checked = 0
        self._client = client
        self._place = place
        self._turn = 0
        client.watch(place, b"polite")
        self._expect_event(place)

    def turn(self) -> None:
        """Write, read, list, be told and commit once more."""
        self._turn += 1
        client = self._client
        names = [b"%d" % number for number in range(NODES)]
        value = b"%d" % self._turn
        for name in names:
            client.write(self._path(name), value)
            self._expect(client.read(self._path(name)), value)
            self._expect_event(self._path(name))
        self._expect(client.directory(self._place), names)
        with client.transaction() as transaction:
            first = self._path(names[0])
            self._expect(transaction.read(first), value)
            transaction.write(first, value + b"in")
            self._expect(client.read(first), value)
        self._expect_event(first)
        self._expect(client.read(first), value + b"in")
        self._expect_refusal(self._path(b"missing"), Errno.ENOENT)
        for name in names:
            client.rm(self._path(name))
            self._expect_event(self._path(name))
        self._expect(client.next_event(0), None)

    def _path(self, name: bytes) -> bytes:
        return self._place + b"/" + name

    def _expect(self, answer: object, wanted: object) -> None:
        if answer != wanted:
            raise WrongAnswerError(f"{answer!r} in the place of {wanted!r}")
        self.checked += 1

    def _expect_event(self, path: bytes) -> None:
        self._expect(self._client.next_event(PATIENCE_S), (path, b"polite"))

    def _expect_refusal(self, path: bytes, wanted: Errno) -> None:
        try:
            answer: object = self._client.read(path)
        except XenStoreError as error:
            answer = error.errno
        self._expect(answer, wanted)


def main(socket: str, domid: str) -> None:
    number = int(domid)
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    with (
        PretendedHost(f"{socket}.hypervisor", timeout=PATIENCE_S) as host,
        Client(socket, timeout=PATIENCE_S) as dom0,
        host.create(number, timeout=PATIENCE_S, lazy=True) as guest,
    ):
        welcome(dom0, number, guest.port)
        polite = Polite(guest, home(number))
        print("served", flush=True)
        while not ended.is_set():
            polite.turn()
            ended.wait(PAUSE_S)
        host.kill(number)
    print(polite.checked)


if __name__ == "__main__":
    main(*sys.argv[1:])
