"""xsd.client.address: libxenstore's rule for the socket."""

import pytest

from xsd.client.address import default_socket_path


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({}, "/run/xenstored/socket"),
        ({"XENSTORED_RUNDIR": "/run/x"}, "/run/x/socket"),
        ({"XENSTORED_PATH": "/run/x/s"}, "/run/x/s"),
        ({"XENSTORED_PATH": "/run/x/s", "XENSTORED_RUNDIR": "/run/y"}, "/run/x/s"),
        ({"XENSTORED_PATH": "", "XENSTORED_RUNDIR": "/run/y"}, "/run/y/socket"),
        ({"XENSTORED_PATH": "", "XENSTORED_RUNDIR": ""}, "/run/xenstored/socket"),
    ],
)
def test_path_wins_over_directory_wins_over_default(
    environment: dict[str, str], path: str
) -> None:
    """XENSTORED_PATH, else XENSTORED_RUNDIR/socket, else /run/xenstored/socket."""
    assert default_socket_path(environment) == path
