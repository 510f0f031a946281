"""What maps a run's function over its work list: each engine takes the same list and gives the same results in its
order, so that which one ran shows in nothing that is written."""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from inspection.detector import available_cores
from inspection.errors import BadUsage
from inspection.ordered_pool import map_in_order
from inspection.ray_engine import on_ray
from inspection.unit_inspector import UnitInspector
from inspection.unit_result import Inspected
from inspection.work_list import WorkItem

LOCAL, RAY = "local", "ray"


class Engine(Protocol):
    """`inspect` of each of `items`, in their order. `items` is read only a little ahead; what it or `inspect` raises
    comes out at its place. When the generator is closed nothing is under way any more, and no more is started.
    `workers` is how many units at once may be under way; None leaves it to the engine."""

    def __call__(
        self, inspect: UnitInspector, items: Iterator[WorkItem], workers: int | None
    ) -> Generator[Inspected, None, None]: ...


def local(inspect: UnitInspector, items: Iterator[WorkItem], workers: int | None) -> Generator[Inspected, None, None]:
    """Threads of this process, one for each core: reading, decoding and the runtimes leave Python's lock, so one unit
    is decoded while another is inspected."""
    return map_in_order(inspect, items, workers or available_cores())


@contextmanager
def _here(_address: str | None) -> Iterator[Engine]:
    yield local


# Each opens its engine, at the address of a cluster where it has one, for as long as the block lasts.
ENGINES: dict[str, Callable[[str | None], AbstractContextManager[Engine]]] = {LOCAL: _here, RAY: on_ray}


def engine_named(name: str, ray_address: str | None = None) -> AbstractContextManager[Engine]:
    """The engine, for a `with`. Raises BadUsage; entering it raises what opening the engine raises."""
    if name not in ENGINES:
        raise BadUsage(f"{name!r} is no engine; choose of {', '.join(ENGINES)}")
    if ray_address is not None and name != RAY:
        raise BadUsage(f"--ray-address is for --engine ray, and this is {name}; leave one of both out")
    return ENGINES[name](ray_address)
