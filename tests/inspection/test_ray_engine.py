"""The Ray engine where the cluster goes away, which no real one does at the wanted moment."""

from types import SimpleNamespace
from typing import Any

import pytest

from inspection.ray_engine import RayEngine, RayFault


class GoneError(Exception):
    """What Ray raises where its cluster is gone."""


def gone(*_: Any, **__: Any) -> Any:
    raise GoneError("the head died")


def test_a_cluster_that_is_gone_is_one_sentence_also_where_its_tasks_cannot_be_cancelled() -> None:
    task = SimpleNamespace(remote=lambda *_: "reference")
    ray = SimpleNamespace(
        remote=lambda _: SimpleNamespace(options=lambda **_: task), put=lambda _: "put", get=gone, cancel=gone,
        wait=gone, cluster_resources=lambda: {"CPU": 1},
        exceptions=SimpleNamespace(RayError=GoneError, RayTaskError=KeyError),
    )  # fmt: skip
    items: Any = iter(range(8))
    with pytest.raises(RayFault, match="the head died"):
        list(RayEngine(ray)(None, items, None))  # type: ignore[arg-type]
