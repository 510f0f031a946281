"""Gives each of xdist's workers its own cores: threads of both on the same ones wait for each other, and what computes
takes many times as long. To be imported before numpy and torch, which count the cores when they are imported."""

import os


def share(cores: list[int], worker: str, workers: str) -> list[int]:
    """Of the `cores` those of a worker, named gw0, gw1…, of so many; all where there are more workers than cores."""
    return cores[int(worker.removeprefix("gw")) :: int(workers)] or cores


_worker, _workers = (os.environ.get(f"PYTEST_XDIST_WORKER{name}") for name in ("", "_COUNT"))
if _worker and _workers and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, share(sorted(os.sched_getaffinity(0)), _worker, _workers))
