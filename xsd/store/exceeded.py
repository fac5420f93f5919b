"""The refusal of what goes over a quota; the quotas are in quota.py."""

from typing import Self, final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.store.quota import MEMORY


@final
class QuotaExceeded(XenStoreError):  # noqa: N818  says more than QuotaExceededError
    """A domain would go over one of its limits.

    Attributes:
        domid: The domain.
        quota: Name of the limit.
        limit: Its value.
        size: Bytes that a node would have had; 0 if it is not about that.
        node: Which node, if it is another one than the request is about.
    """

    domid: int
    quota: str
    limit: int
    size: int
    node: bytes

    def __new__(
        cls,
        domid: int,
        quota: str,
        limit: int,
        path: bytes = b"",
        *,
        size: int = 0,
        node: bytes = b"",
    ) -> Self:
        """Make one: ENOMEM for memory, else ENOSPC."""
        reason = f"dom{domid} is at its quota of {limit} {quota}"
        errno = Errno.ENOMEM if quota == MEMORY else Errno.ENOSPC
        made = super().__new__(cls, errno, reason, path)
        made.domid = domid
        made.quota = quota
        made.limit = limit
        made.size = size
        made.node = node
        return made
