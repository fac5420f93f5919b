"""Makes test data of a recording: python3 -m tests.recorded.make RECORD FILE [bare]

RECORD is what `xenstored --record` has written; FILE gets its requests with the replies
of Xen's C daemon, which is asked the same on a pretended Xen (see XSD_PEERS in
`tests/support/daemons.py`), or none with `bare`.
"""

import sys
from pathlib import Path

from tests.recorded.replay import replay, requests_of, save
from tests.support.worlds import start_c_world


def main(recording: Path, target: Path, *, bare: bool) -> None:
    """Replay and save."""
    requests = requests_of(recording.read_text("ascii").splitlines())
    if bare:
        save(target, requests)
        return
    with start_c_world() as world:
        save(target, replay(requests, world))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), bare="bare" in sys.argv[3:])
