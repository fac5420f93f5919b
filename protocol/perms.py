"""Permissions of a node and who may do what with it.

A node has an ordered list of entries, each a letter and a domain id. The first
names the owner, and its letter is what everybody else may do; each further one
is about the domain it names. The first of these that matches decides.
"""

from typing import Final, final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import DOMID_ANY, DOMID_FIRST_RESERVED, UINT_MAX

NONE: Final = 0
READ: Final = 1
WRITE: Final = 2
OWNER: Final = 4
"""Only in an answer of `Permissions.access`: may change the permissions."""

_LETTERS: Final = b"nrwb"
_EVERYTHING: Final = READ | WRITE | OWNER
_SIGN: Final = 0x80000000


@final
class Caller:
    """Who asks.

    Attributes:
        domid: The domain at the other end.
        privileged: Whether permissions and quotas do not apply to it.
        target: Domain whose rights it has beside its own (SET_TARGET),
            or -1.
    """

    __slots__ = ("domid", "privileged", "target")

    def __init__(self, domid: int, *, privileged: bool, target: int = -1) -> None:
        self.domid = domid
        self.privileged = privileged
        self.target = target

    def __repr__(self) -> str:
        return f"Caller(dom{self.domid})"


@final
class Entry:
    """One permission: a letter's rights for one domain.

    Attributes:
        rights: NONE, READ, WRITE or READ | WRITE.
        domid: The domain, 32 bits; DOMID_ANY is every domain.
        stale: The entry names a domain that was unknown when it was set.
            It stays visible but grants nothing, even if a domain of that id
            comes into being later (XSA-322, XSA-417).
    """

    __slots__ = ("domid", "rights", "stale")

    def __init__(self, rights: int, domid: int, *, stale: bool = False) -> None:
        self.rights = rights
        self.domid = domid
        self.stale = stale

    @property
    def text(self) -> bytes:
        """The entry as on the wire; C xenstored prints the number as signed."""
        domid = self.domid
        if domid >= _SIGN:
            domid -= UINT_MAX + 1
        return b"%c%d" % (_LETTERS[self.rights], domid)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Entry)
            and self.rights == other.rights
            and self.domid == other.domid
            and self.stale == other.stale
        )

    def __hash__(self) -> int:
        return hash((self.rights, self.domid, self.stale))

    def __repr__(self) -> str:
        return self.text.decode() + ("?" if self.stale else "")


@final
class Permissions:
    r"""An immutable permission list of at least one entry; nodes share it.

    Attributes:
        entries: The list; the first entry names the owner.
        owner: Domain id of the owner.
        text: The list as GET_PERMS returns it: ``b"n0\0r5\0"``.
    """

    __slots__ = ("_heir", "entries", "owner", "text")

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.owner = entries[0].domid
        self.text = b"".join([entry.text + b"\0" for entry in entries])
        self._heir: Permissions | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Permissions) and self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def __repr__(self) -> str:
        return f"Permissions({', '.join([repr(entry) for entry in self.entries])})"

    def access(self, caller: Caller) -> int:
        """Rights of a caller: some of READ, WRITE and OWNER, or NONE."""
        if caller.privileged:
            return _EVERYTHING
        domid = caller.domid
        target = caller.target
        owner = self.owner
        if owner in (domid, DOMID_ANY) or owner == target:
            return _EVERYTHING
        entries = self.entries
        for index in range(1, len(entries)):
            entry = entries[index]
            if entry.stale:
                continue
            named = entry.domid
            if named in (domid, DOMID_ANY) or named == target:
                return entry.rights
        return entries[0].rights

    def inherited_by(self, caller: Caller) -> "Permissions":
        """Permissions of a node that the caller creates below this one.

        A guest becomes the owner of what it creates; the rest is inherited.
        """
        if caller.privileged or self.owner == caller.domid:
            return self
        heir = self._heir
        if heir is None or heir.owner != caller.domid:
            first = Entry(self.entries[0].rights, caller.domid)
            heir = Permissions((first, *self.entries[1:]))
            # Siblings mostly come from one creator: they then share the list.
            self._heir = heir
        return heir


def parse_permissions(strings: list[bytes]) -> Permissions:
    """Read the entries of SET_PERMS, such as ``[b"n0", b"r5"]``.

    The number is taken as C's ``strtol`` with base 0 does, cut to 32 bits.

    Raises:
        XenStoreError: EINVAL for an empty list, an unknown letter or what is
            not a number.
    """
    if not strings:
        raise XenStoreError(Errno.EINVAL, "no permissions given")
    return Permissions(tuple([_parse_entry(text) for text in strings]))


def owner_only(domid: int) -> Permissions:
    """Permissions that let nobody but the owner in."""
    return Permissions((Entry(NONE, domid),))


def names_a_domain(domid: int) -> bool:
    """Tell whether this is the id of one domain, not a reserved number."""
    return 0 <= domid < DOMID_FIRST_RESERVED


def _parse_entry(text: bytes) -> Entry:
    rights = _LETTERS.find(text[:1]) if text else -1
    if rights < 0:
        raise XenStoreError(Errno.EINVAL, "permission without a letter of nrwb", text)
    digits = text[1:].lstrip(b" \t\n\v\f\r")
    negative = digits[:1] == b"-"
    if digits[:1] in (b"-", b"+"):
        digits = digits[1:]
    try:
        # Python would also take blanks behind the number and "_" inside.
        number = int(digits if digits.isalnum() else b"", _base_of(digits))
    except ValueError:
        raise XenStoreError(Errno.EINVAL, "permission without a number", text) from None
    # strtol answers its greatest value where a number is out of range.
    number = min(number, 2**63 if negative else 2**63 - 1)
    return Entry(rights, (-number if negative else number) & UINT_MAX)


def _base_of(digits: bytes) -> int:
    """Base that C's ``strtol`` would choose by itself.

    The result is odd for ``0o7``, which Python would take for an octal number
    and C does not: base 1 makes ``int`` refuse it.
    """
    second = digits[1:2]
    if digits[:1] != b"0" or not second:
        return 10
    if second in b"xX":
        return 16
    return 8 if second.isdigit() else 1
