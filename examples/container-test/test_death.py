"""What clients see when the daemon is killed."""

import pytest
from conftest import PATIENCE_S, XenStore

from xsd.client import Client, DisconnectedError, NotListeningError


def test_clients_notice_and_come_back(xenstore: XenStore, dom0: Client) -> None:
    """To a new store, which the toolstack has to fill."""
    dom0.write("/local/domain/1/name", b"guest")

    xenstore.kill()

    with pytest.raises(DisconnectedError):
        dom0.next_event(PATIENCE_S)
    with pytest.raises(NotListeningError):
        Client(str(xenstore.socket), timeout=PATIENCE_S)

    xenstore.restart()
    with Client(str(xenstore.socket), timeout=PATIENCE_S) as again:
        assert not again.exists("/local/domain/1/name")


def test_stop_is_clean(xenstore: XenStore) -> None:
    """With exit code 0, and without the sockets."""
    xenstore.engine("stop", "-t", "1", xenstore.name)

    code = xenstore.engine("inspect", "-f", "{{.State.ExitCode}}", xenstore.name)
    assert code == "0\n"
    assert not xenstore.socket.exists()
