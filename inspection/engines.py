"""What maps a run's function over its work list: each engine takes the same list and gives the same results in its
order, so that which one ran shows in nothing that is written."""

from collections.abc import Generator, Iterator
from typing import Protocol

from inspection.errors import BadUsage
from inspection.ordered_pool import map_in_order
from inspection.unit_inspector import UnitInspector
from inspection.unit_result import Inspected
from inspection.work_list import WorkItem

LOCAL = "local"


class Engine(Protocol):
    """`inspect` of each of `items`, in their order. `items` is read only a little ahead; what it or `inspect` raises
    comes out at its place. Closing the generator waits for what is under way and starts no more. `workers` is how many
    units at once are worth having under way."""

    def __call__(
        self, inspect: UnitInspector, items: Iterator[WorkItem], workers: int
    ) -> Generator[Inspected, None, None]: ...


def local(inspect: UnitInspector, items: Iterator[WorkItem], workers: int) -> Generator[Inspected, None, None]:
    """Threads of this process: reading, decoding and the runtimes leave Python's lock, so one unit is decoded while
    another is inspected."""
    return map_in_order(inspect, items, workers)


ENGINES: dict[str, Engine] = {LOCAL: local}


def engine_named(name: str) -> Engine:
    """Raises BadUsage."""
    if name not in ENGINES:
        raise BadUsage(f"{name!r} is no engine; choose of {', '.join(ENGINES)}")
    return ENGINES[name]
