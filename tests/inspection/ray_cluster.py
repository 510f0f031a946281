"""A real Ray cluster of several nodes on this machine, of one core each."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NODES = 2


def processes(word: str) -> list[str]:
    """The command lines of processes in which `word` occurs, this one left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line and path.parent.name != str(os.getpid()):
            found.append(line)
    return found


def wait_for_none(word: str, seconds: float = 30) -> None:
    """Wait until no such process is left; fails where some stay."""
    deadline = time.monotonic() + seconds
    while left := processes(word):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@contextmanager
def ray_cluster() -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster` of NODES nodes. At the end its processes are gone, and its files too."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="rayt-", dir="/tmp")  # sockets: the usual folders of tests are too long
    values = {"num_cpus": 1, "temp_dir": folder, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=values)
    try:
        for _ in range(NODES - 1):
            cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()
        wait_for_none(folder)
        shutil.rmtree(folder)
