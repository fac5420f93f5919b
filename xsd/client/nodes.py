"""What can be asked about nodes, inside a transaction and outside."""

from abc import ABC, abstractmethod

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.lean import Iterable
from xsd.protocol.ops import Op

LISTING_ATTEMPTS = 64
"""Times a long directory is begun again because it changed in between."""


class NodeOperations(ABC):
    """Requests that name a node.

    Paths may be given as text, which is sent as UTF-8, or as bytes; what comes
    back is always bytes, and so are values, which may hold any byte.

    Raises:
        XenStoreError: From every method, if the daemon refuses; EINVAL without
            asking it for a path with a NUL in it, E2BIG for a request of more
            than 4,096 bytes.
        DisconnectedError: From every method, if the connection has ended.
    """

    __slots__ = ()

    @abstractmethod
    def request(self, op: Op, payload: bytes) -> bytes:
        """Send one request as it is and return the payload of its reply."""

    def read(self, path: str | bytes) -> bytes:
        """Return the value of a node."""
        return self.request(Op.READ, string(path))

    def write(self, path: str | bytes, value: bytes) -> None:
        """Set the value of a node, making it and missing parents first."""
        self.request(Op.WRITE, string(path) + value)

    def mkdir(self, path: str | bytes) -> None:
        """Make a node with an empty value; an existing one stays as it is."""
        self.request(Op.MKDIR, string(path))

    def rm(self, path: str | bytes) -> None:
        """Remove a node and all below it.

        A missing node is no error as long as its parent exists.
        """
        self.request(Op.RM, string(path))

    def exists(self, path: str | bytes) -> bool:
        """Tell whether there is such a node; other refusals are raised."""
        try:
            self.read(path)
        except XenStoreError as error:
            if error.errno == Errno.ENOENT:
                return False
            raise
        return True

    def directory(self, path: str | bytes) -> list[bytes]:
        """Return the names of the children, in the daemon's order.

        A list of more than 4,096 bytes comes in parts (DIRECTORY_PART) and is
        still that of one moment: if the node changes meanwhile, it is fetched
        again, at most `LISTING_ATTEMPTS` times, then EAGAIN is raised.
        """
        try:
            return split_strings(self.request(Op.DIRECTORY, string(path)))
        except XenStoreError as error:
            if error.errno != Errno.E2BIG:
                raise
        name = string(path)
        for _ in range(LISTING_ATTEMPTS):
            names = self._long_directory(name)
            if names is not None:
                return names
        reason = "the directory kept changing while it was listed"
        raise XenStoreError(Errno.EAGAIN, reason, name[:-1])

    def get_permissions(self, path: str | bytes) -> list[bytes]:
        """Return the permissions, such as `[b"n0", b"r5"]`; the first is the owner's.

        The first entry's letter is what every domain may do that is not named.
        """
        return split_strings(self.request(Op.GET_PERMS, string(path)))

    def set_permissions(
        self, path: str | bytes, permissions: Iterable[str | bytes]
    ) -> None:
        """Set the permissions: a letter of `nrwb` and a domain id each."""
        payload = string(path) + b"".join(string(entry) for entry in permissions)
        self.request(Op.SET_PERMS, payload)

    def _long_directory(self, name: bytes) -> list[bytes] | None:
        """Fetch a directory in parts; None if it changed between two of them."""
        generation = b""
        names = b""
        while True:
            part = self.request(Op.DIRECTORY_PART, name + b"%d\0" % len(names))
            now, _, more = part.partition(b"\0")
            if names and now != generation:
                return None
            generation = now
            # An empty string after the names says that there are no more.
            if more == b"\0" or more.endswith(b"\0\0"):
                return split_strings(names + more[:-1])
            if not more:
                raise XenStoreError(Errno.EIO, "empty part of a directory", name[:-1])
            names += more


def string(text: str | bytes) -> bytes:
    """Return an argument as it travels: with a NUL behind it.

    Raises:
        XenStoreError: EINVAL if it has a NUL in it, which would split it.
    """
    raw = text.encode() if isinstance(text, str) else text
    if b"\0" in raw:
        raise XenStoreError(Errno.EINVAL, "NUL in an argument", raw)
    return raw + b"\0"


def split_strings(payload: bytes) -> list[bytes]:
    """Return the strings of a reply, each of which ends in a NUL."""
    return payload.split(b"\0")[:-1]
