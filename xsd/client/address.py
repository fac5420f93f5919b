"""Where the daemon's socket is."""

from collections.abc import Mapping
from typing import Final

RUN_DIRECTORY: Final = "/run/xenstored"
"""Where a daemon keeps its socket unless told otherwise."""


def default_socket_path(environment: Mapping[str, str]) -> str:
    """Return the socket a client uses that was told no path.

    The rule is libxenstore's: XENSTORED_PATH, else the file `socket` in
    XENSTORED_RUNDIR, else the one in `/run/xenstored`. Unlike libxenstore
    there is no falling back to `/dev/xen/xenbus`: a wrong path is an error,
    not another store. An empty variable counts as none.
    """
    path = environment.get("XENSTORED_PATH")
    if path:
        return path
    return (environment.get("XENSTORED_RUNDIR") or RUN_DIRECTORY) + "/socket"
