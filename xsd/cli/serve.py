"""`xsd serve`: the daemon, whose command line is its own business."""

from collections.abc import Sequence

from xsd.daemon import xenstored


def serve(words: Sequence[str], socket: str | None) -> int:
    """Run the daemon until it is told to stop."""
    if socket is not None:
        words = ["--socket", socket, *words]
    return xenstored.serve(words)
