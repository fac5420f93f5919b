"""A pretended hypervisor and its control client, taking turns in one thread."""

import select
from pathlib import Path
from typing import Final, final

from tests.support.turns import TurnTaker
from xsd.hypervisor.base import Channel
from xsd.hypervisor.emulated import EmulatedHypervisor

PORT_WORD: Final = 2076 // 4
"""Where a page, as words of 32 bits, names a port (xs_wire.h)."""


def port_in_page(page: memoryview) -> int:
    with page.cast("I") as words:
        return words[PORT_WORD]


@final
class Host:
    """A pretended hypervisor and a control client of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hypervisor = EmulatedHypervisor(str(path))
        self.changed = False
        self.control = TurnTaker(path, self.turn)

    def turn(self) -> None:
        ports, changed = self.hypervisor.pending()
        assert not ports
        self.changed |= changed

    def ask(self, do: str, **arguments: object) -> dict[str, object]:
        return self.control.ask({"do": do, **arguments})

    def create(self, domid: int = 5) -> int:
        port = self.ask("create", domid=domid)["port"]
        assert isinstance(port, int)
        return port

    def connect(self, domid: int = 5) -> tuple[Channel, int, int, int]:
        """Make a domain and connect it; return the descriptors too."""
        channel = self.hypervisor.connect(domid, self.create(domid))
        page, to_daemon, to_guest = self.control.descriptors
        assert self.hypervisor.pending() == ([channel.port], False)
        return channel, page, to_daemon, to_guest

    def is_awake(self) -> bool:
        return bool(select.select([self.hypervisor.fileno()], [], [], 0)[0])
