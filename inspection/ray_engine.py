"""A Ray cluster as an engine: the cores of many machines take units off one work list.

Each unit is a task of its own. Ray Data would not do: it reads its input in tasks of the cluster, as far ahead as its
object store has room, or takes a whole list, while a run's work list is an iterator of this process, pinned to where
the chains ended and taken up in the middle. Nor are actors needed: a task whose node dies is given to another by Ray,
and a process keeps the packages that it has loaded from one task to the next.
"""

import logging
import os
import shutil
import socket
import tempfile
import uuid
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from inspection import __version__
from inspection.detector import available_cores
from inspection.errors import InspectionError
from inspection.unit_inspector import UnitInspector
from inspection.unit_result import Inspected
from inspection.work_list import WorkItem

_AHEAD = 4  # units under way or done early for each core
_STORE_BYTES = 256 * 2**20  # of a local Ray: results are small
_LONGEST_FOLDER = 40  # a socket's whole path has 107 bytes at most, and Ray adds about 65
_PATIENCE_S = 60.0
_ANSWER_S = 10.0


class RayMissing(InspectionError):
    """Ray is not installed."""

    code = "ray_missing"


class RayUnreachable(InspectionError):
    """No Ray cluster answers, or a local Ray cannot be started."""

    code = "ray_unreachable"


class RayFault(InspectionError):
    """The cluster failed while a run was under way. What is done is kept."""

    code = "ray_fault"


class NodeUnfit(InspectionError):
    """A node of the cluster would not compute what this machine computes."""

    code = "node_unfit"


class RayEngine:
    """An engine (`inspection.engines.Engine`) on the cluster that `ray` is connected to."""

    def __init__(self, ray: ModuleType) -> None:
        self._ray = ray
        self._task = ray.remote(_inspect).options(num_cpus=1, max_retries=3)

    def __call__(
        self, inspect: UnitInspector, items: Iterator[WorkItem], workers: int | None
    ) -> Generator[Inspected, None, None]:
        """As the contract says; without `workers`, as many units at once as the cluster has cores when the run begins.

        Raises RayFault, NodeUnfit, and what the nodes raise.
        """
        ray = self._ray
        cores = workers or int(ray.cluster_resources().get("CPU", 0))
        if not cores:
            raise RayFault("the Ray cluster has no CPU now; start a node that has some, or say how many with --threads")
        run, pending, busy = uuid.uuid4().hex, deque[Any](), list[Any]()
        travelling = ray.put(inspect)
        try:
            for item in items:
                if workers and len(busy) >= workers:
                    _, busy = ray.wait(busy, num_returns=1)
                pending.append(self._task.remote(run, __version__, travelling, item))
                busy = [*busy, pending[-1]] if workers else []
                if len(pending) >= _AHEAD * cores:
                    yield self._result(pending.popleft())
            while pending:
                yield self._result(pending.popleft())
        finally:
            with suppress(Exception):  # where the cluster is gone, what was raised before says so
                for waiting in pending:
                    ray.cancel(waiting)
                if pending:
                    ray.wait(list(pending), num_returns=len(pending), timeout=_PATIENCE_S)

    def _result(self, reference: Any) -> Inspected:
        try:
            found = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            said = lines[-1] if isinstance(error, self._ray.exceptions.RayTaskError) else lines[0]  # or a traceback
            raise RayFault(
                f"the Ray cluster failed ({said.rstrip('.')}); the same command goes on from here"
            ) from error
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, Inspected)
        return found


@contextmanager
def on_ray(address: str | None) -> Iterator[RayEngine]:
    """The engine on the cluster at `address`, else at RAY_ADDRESS, else on a Ray of this machine's cores that is
    started here, listens on the loopback interface alone, and is stopped at the end. It reports to nobody and has no
    dashboard.

    Raises RayMissing or RayUnreachable.
    """
    address = address or os.environ.get("RAY_ADDRESS") or None
    ray = _imported(loopback=address is None)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    folder = None if address else _folder()
    try:
        try:
            if address is not None:
                _answers(address)
                ray.init(address=address, **quiet)
            else:
                ray.init(
                    address="local", num_cpus=available_cores(), num_gpus=0, include_dashboard=False,
                    object_store_memory=_STORE_BYTES, _temp_dir=str(folder), **quiet,
                )  # fmt: skip
        except Exception as error:  # Ray raises what it likes, and each means that there is no cluster to work on
            raise RayUnreachable(_unreachable(address, error)) from error
        yield RayEngine(ray)
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _imported(*, loopback: bool) -> ModuleType:
    """Ray, with everything off that reaches out of the plant; it reads these when it is imported."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # no hint on standard error
    if loopback:  # whoever reaches a Ray's ports may run programs in it; on Linux, too, this keeps them to 127.0.0.1
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError as error:
        raise RayMissing(
            "--engine ray needs ray, which is not installed; pip install 'pharma-inspection[ray]'"
        ) from error
    return ray


def _folder() -> Path:
    """A new folder for a local Ray's sockets and logs, with a path that is short enough for sockets."""
    usual = tempfile.gettempdir()
    short = usual if len(usual) <= _LONGEST_FOLDER - 13 else "/tmp"  # nosec B108  (mkdtemp makes a folder of its own)
    return Path(tempfile.mkdtemp(prefix="ray-", dir=short))


def _answers(address: str) -> None:
    """Raises OSError where nobody listens at `host:port`, which Ray itself would find out after many minutes, and
    ValueError for another address."""
    host, colon, port = address.rpartition(":")
    if address == "auto":
        return
    if not colon or "/" in host or not port.isdecimal():
        msg = "an address is host:port"
        raise ValueError(msg)
    socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()


def _unreachable(address: str | None, error: Exception) -> str:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if address is None:
        return f"Ray cannot be started on this machine ({first}); put that right, or give a cluster with --ray-address"
    return f"no Ray cluster can be used at {address} ({first}); start it, or give another with --ray-address"


_loaded: dict[str, UnitInspector] = {}  # of this process, by the run: one at most


def _inspect(run: str, version: str, inspect: UnitInspector, item: WorkItem) -> Inspected | Exception:
    """The task: what came of the item, or what was raised, which Ray would wrap."""
    if version != __version__:
        return NodeUnfit(f"a node of the cluster has version {__version__} of this software, not {version}; install it")
    if run not in _loaded:
        for earlier in _loaded.values():
            earlier.close()
        _loaded.clear()
        _loaded[run] = inspect
    try:
        return _loaded[run](item)
    except Exception as error:
        return error
