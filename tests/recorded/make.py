"""Makes test data of a recording: python3 -m tests.recorded.make RECORD FILE [bare]

RECORD is what `xenstored --record` has written, or a packed file that was made before;
FILE gets its requests with the replies of Xen's C daemon, which is asked the same on a
pretended Xen (see `tests/peers`), or none with `bare`. It is
a tape like RECORD, packed by gzip, of what the engine alone does when it is asked so.
"""

import gzip
import sys
from pathlib import Path

from tests.recorded.replay import exchanges_of, replay, save
from tests.support.worlds import start_c_world

_PACKED = b"\x1f\x8b"


def main(recording: Path, target: Path, *, bare: bool) -> None:
    data = recording.read_bytes()
    if data.startswith(_PACKED):
        data = gzip.decompress(data)
    exchanges = list(exchanges_of(data.splitlines(keepends=True)))
    if not bare:
        with start_c_world() as world:
            exchanges = list(replay(exchanges, world))
    save(target, exchanges)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), bare="bare" in sys.argv[3:])
