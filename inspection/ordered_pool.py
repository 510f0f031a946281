"""A function mapped over a long list by several threads, with results in order and memory that stays flat."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4  # items under way or done early for each thread: enough that a slow item does not leave a core idle


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Generator[Result, None, None]:
    """`function` of each item, in the order of `items`, which is read in this thread and only a little ahead.

    What `function` or `items` raises comes out at its place. Closing the iterator waits for the calls under way and
    starts no more.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="inspect")
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= _AHEAD * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
