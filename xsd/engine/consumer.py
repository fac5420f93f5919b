"""Who is told of changes of the store, beside those who watch."""

from abc import ABC, abstractmethod

from mypy_extensions import mypyc_attr

from xsd.store import Change


@mypyc_attr(allow_interpreted_subclasses=True)
class Consumer(ABC):
    """Takes changes, each with its cause; what it fails at concerns nobody else."""

    __slots__ = ()

    @abstractmethod
    def take(self, changes: list[Change]) -> None:
        """Take what one input has changed, in order; often nothing."""
