"""Whom the store asks which domains there are."""

from abc import ABC, abstractmethod
from typing import final

from mypy_extensions import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Census(ABC):
    """Whoever knows which domains there are: the hypervisor."""

    __slots__ = ()

    @abstractmethod
    def unique_id(self, domid: int) -> int | None:
        """Number of a living domain that no other domain ever has.

        Returns:
            None if there is no domain of that id, 0 if there is one and the
            hypervisor gives no such numbers.
        """


@final
class NoCensus(Census):
    """There is no hypervisor: a domain exists from INTRODUCE to RELEASE."""

    __slots__ = ()

    def unique_id(self, domid: int) -> int | None:
        """Nothing is known of any domain."""
        return None
