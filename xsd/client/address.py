"""Where the daemon's socket is."""

from xsd.protocol.lean import Final, Mapping

PATH_VARIABLE: Final = "XENSTORED_PATH"
RUNDIR_VARIABLE: Final = "XENSTORED_RUNDIR"
"""The environment's names for the socket and for its directory."""

RUN_DIRECTORY: Final = "/run/xenstored"
"""Where a daemon keeps its socket unless told otherwise."""


def default_socket_path(environment: Mapping[str, str]) -> str:
    """Return the socket a client uses that was told no path.

    The rule is libxenstore's: XENSTORED_PATH, else the file `socket` in
    XENSTORED_RUNDIR, else the one in `/run/xenstored`. Unlike libxenstore
    there is no falling back to `/dev/xen/xenbus`: a wrong path is an error,
    not another store. An empty variable counts as none.
    """
    path = environment.get(PATH_VARIABLE)
    if path:
        return path
    return (environment.get(RUNDIR_VARIABLE) or RUN_DIRECTORY) + "/socket"
