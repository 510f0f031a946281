"""Every engine keeps the contract: the same results in the same order, whatever does the work and whatever fails."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from click.testing import CliRunner

from inspection.commands.reinspect import reinspect
from inspection.detector import Detector, available_cores
from inspection.engines import ENGINES, LOCAL, RAY, Engine, engine_named
from inspection.errors import InspectionError
from inspection.folder_work import FolderWork
from inspection.lineup import load_lineup
from inspection.reinspect import Reinspection
from inspection.reinspect_source import Source
from inspection.unit_inspector import PackageFiles, UnitInspector
from inspection.unit_result import Inspected, UnitResult, UnitResults
from inspection.verdict import Limits
from inspection.work_list import NoImages, WorkItem
from tests.inspection.ray_cluster import NODES, ray_cluster, wait_for_none
from tests.inspection.reinspection import files, interrupt_at, with_limits

Run = Callable[..., CompletedProcess[str]]
RUNTIME = "onnxruntime"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with ray_cluster() as started:
        yield started


@pytest.fixture(scope="module")
def opened(cluster: Any) -> Iterator[dict[str, Engine]]:
    """Every engine."""
    with engine_named(LOCAL) as local, engine_named(RAY, cluster.address) as ray:
        engines = {LOCAL: local, RAY: ray}
        assert set(engines) == set(ENGINES)
        yield engines


class Told:
    """Notes each call in a folder, which several processes share, and raises at the unit `bad`."""

    def __init__(self, folder: Path, bad: str = "") -> None:
        self.folder, self.bad = folder, bad

    def __call__(self, item: WorkItem) -> Inspected:
        (self.folder / f"{item.unit}-{time.monotonic_ns()}").touch()
        if item.unit == self.bad:
            raise NoImages(f"{item.unit} it is")
        result = UnitResult(item.unit, None, None, None, None, None, "PASS", "within_limits", None, ())
        return Inspected(UnitResults((result,)), (None,))

    def close(self) -> None:
        pass


def units(count: int, read: list[int] | None = None) -> Iterator[WorkItem]:
    for number in range(count):
        if read is not None:
            read.append(number)
        yield WorkItem(f"{number:04}")


@pytest.mark.parametrize("workers", [None, 1, 3])
@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_results_come_in_order_and_the_list_is_read_only_a_little_ahead(
    engine: str, workers: int | None, opened: dict[str, Engine], tmp_path: Path
) -> None:
    read: list[int] = []
    ahead, done = 0, []
    for found in opened[engine](Told(tmp_path), units(60, read), workers):  # type: ignore[arg-type]
        done.append(found.results.key[2])
        ahead = max(ahead, len(read) - len(done))
    assert done == [f"{number:04}" for number in range(60)]
    assert len(list(tmp_path.iterdir())) == 60
    assert ahead <= 4 * (workers or max(NODES, available_cores()))


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_what_is_raised_comes_out_at_its_place(engine: str, opened: dict[str, Engine], tmp_path: Path) -> None:
    running = opened[engine](Told(tmp_path, "0005"), units(50), 2)  # type: ignore[arg-type]
    assert [next(running).results.key[2] for _ in range(5)] == [f"{number:04}" for number in range(5)]
    with pytest.raises(NoImages, match="0005 it is") as raised:
        next(running)
    assert raised.type is NoImages
    assert len(list(tmp_path.iterdir())) < 20

    def torn() -> Iterator[WorkItem]:
        yield from units(3)
        raise OSError("the list is torn")

    with pytest.raises(OSError, match="torn"):
        list(opened[engine](Told(tmp_path), torn(), 2))  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_closed_it_starts_no_more(engine: str, opened: dict[str, Engine], tmp_path: Path) -> None:
    with closing(opened[engine](Told(tmp_path), units(1000), 2)) as running:  # type: ignore[arg-type]
        for _ in range(3):
            next(running)
    seen = len(list(tmp_path.iterdir()))
    assert seen <= 3 + 4 * 2
    list(opened[engine](Told(tmp_path), units(1), 2))  # type: ignore[arg-type]  # another waits its turn behind them
    assert len(list(tmp_path.iterdir())) == seen + 1


@pytest.fixture(scope="module")
def images(vial_images: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 18 images, of which three are damaged: one cut off, one that is text, one empty."""
    folder = tmp_path_factory.mktemp("images")
    turns = [path for group in zip(*vial_images.values(), strict=False) for path in group]
    for number in range(18):
        (folder / f"{number:03}.png").write_bytes(turns[number % len(turns)].read_bytes())
    whole = (folder / "004.png").read_bytes()
    for name, data in (("004", whole[: len(whole) // 2]), ("009", b"text"), ("013", b"")):
        (folder / f"{name}.png").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def packages(vial_package: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A package, and the same detector with limits that stop about everything."""
    other = tmp_path_factory.mktemp("other") / "other.onnx"
    other.write_bytes(with_limits(vial_package, Limits(review_limit=-2.0, reject_limit=-1.0)))
    return vial_package, other


@pytest.fixture(scope="module")
def both(packages: tuple[Path, Path]) -> list[Detector]:
    return load_lineup(packages, None, [RUNTIME] * 2, threads=1, parallel=2)


@pytest.fixture(scope="module")
def by_local(
    images: Path, both: list[Detector], packages: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """Every file of a run over `images` with both packages by the local engine."""
    out = tmp_path_factory.mktemp("local") / "out"
    with engine_named(LOCAL) as engine:
        result = run(images, both, packages, engine, out)
    assert result["unreadable_count"] == 3 and result["units"] == 18
    return files(out)


def run(
    images: Path, both: list[Detector], packages: tuple[Path, Path], engine: Engine, out: Path, **progress: Any
) -> dict[str, Any]:
    digests = tuple(one.package.digest for one in both)
    return Reinspection(
        FolderWork(images), both[0], further=tuple(both[1:]), heatmaps=5, engine=engine,
        source=Source("folder", images), files=PackageFiles(packages, None, (RUNTIME,) * 2, digests),
    ).run(out, **progress)  # fmt: skip


class OnEveryNode:
    """An inspector that notes its node, and whose first call waits until every node has been heard of."""

    def __init__(self, inspect: UnitInspector, folder: Path) -> None:
        self.inspect, self.folder = inspect, folder

    def __call__(self, item: WorkItem) -> Inspected:
        import ray

        (self.folder / ray.get_runtime_context().get_node_id()).touch()
        deadline = time.monotonic() + 60
        while len(list(self.folder.iterdir())) < NODES and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.inspect(item)

    def close(self) -> None:
        self.inspect.close()


def test_two_nodes_do_the_work_and_every_file_is_as_by_one_process(
    opened: dict[str, Engine],
    images: Path,
    both: list[Detector],
    packages: tuple[Path, Path],
    by_local: dict[str, bytes],
    tmp_path: Path,
) -> None:
    nodes = tmp_path / "nodes"
    nodes.mkdir()

    def watched(inspect: UnitInspector, items: Iterator[WorkItem], workers: int | None) -> Any:
        return opened[RAY](OnEveryNode(inspect, nodes), items, workers)  # type: ignore[arg-type]

    run(images, both, packages, watched, tmp_path / "ray")
    assert len(list(nodes.iterdir())) == NODES
    by_ray = files(tmp_path / "ray")
    assert {"results.jsonl", "result.json", "result.parquet", "report.html", "summary.pdf"} <= set(by_ray)
    assert by_ray == by_local


class HangsOn(OnEveryNode):
    """One that never comes back from one of the nodes, and says when it is there."""

    node = ""

    def __call__(self, item: WorkItem) -> Inspected:
        import ray

        if ray.get_runtime_context().get_node_id() == self.node:
            (self.folder / "hanging").touch()
            time.sleep(120)
        return self.inspect(item)


def test_what_a_dying_node_had_is_done_by_another(
    cluster: Any,
    opened: dict[str, Engine],
    images: Path,
    both: list[Detector],
    packages: tuple[Path, Path],
    by_local: dict[str, bytes],
    tmp_path: Path,
) -> None:
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()

    def kill() -> None:
        deadline = time.monotonic() + 100
        while not (tmp_path / "hanging").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)

    def hanging(inspect: UnitInspector, items: Iterator[WorkItem], workers: int | None) -> Any:
        travelling = HangsOn(inspect, tmp_path)
        travelling.node = node.node_id
        return opened[RAY](travelling, items, workers)  # type: ignore[arg-type]

    killer = threading.Thread(target=kill)
    killer.start()
    run(images, both, packages, hanging, tmp_path / "out")
    killer.join()
    assert (tmp_path / "hanging").exists()
    assert files(tmp_path / "out") == by_local


def test_interrupted_on_a_cluster_it_goes_on_here(
    opened: dict[str, Engine],
    images: Path,
    both: list[Detector],
    packages: tuple[Path, Path],
    by_local: dict[str, bytes],
    tmp_path: Path,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(images, both, packages, opened[RAY], tmp_path / "out", progress=interrupt_at(5))
    run(images, both, packages, opened[LOCAL], tmp_path / "out")
    assert files(tmp_path / "out") == by_local


def test_killed_on_a_cluster_and_started_again(
    cluster: Any,
    images: Path,
    packages: tuple[Path, Path],
    by_local: dict[str, bytes],
    inspection: Run,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    words = ["reinspect", *map(str, packages), "--folder", str(images), "--out", str(out), "--runtime", RUNTIME,
             "--heatmaps", "5", "--engine", "ray", "--progress", "json"]  # fmt: skip
    program = """
import os, sys
from inspection import cli, results_file
left, write = 7, os.write
def killing(file, data):
    global left
    left -= 1
    if left == 0:
        write(file, bytes(data)[: len(data) // 2])
        os.kill(os.getpid(), 9)
    return write(file, data)
results_file.os.write = killing
cli.main(sys.argv[1:])
"""
    told = {**os.environ, "RAY_ADDRESS": cluster.address}
    killed = subprocess.run(
        [sys.executable, "-c", program, *words], check=False, capture_output=True, text=True, timeout=120, env=told
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (out / "results.jsonl").read_bytes().endswith(b"\n")
    done = inspection(*words, "--ray-address", cluster.address)
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["event"] for line in done.stderr.splitlines()} == {"progress"}
    assert files(out) == by_local


def test_without_an_address_ray_is_started_here_and_leaves_nothing(
    images: Path, packages: tuple[Path, Path], by_local: dict[str, bytes], inspection: Run, tmp_path: Path
) -> None:
    place = Path(tempfile.mkdtemp(prefix="rayt-", dir="/tmp"))
    told = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {"TMPDIR": str(place)}
    words = ["--folder", images, "--runtime", RUNTIME, "--heatmaps", 5, "--quiet", "--engine", "ray", "--threads", 1]
    done = inspection("reinspect", *packages, *words, "--out", tmp_path / "out", env=told)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert not list(place.glob("ray*"))
    wait_for_none(str(place))
    shutil.rmtree(place)
    assert files(tmp_path / "out") == by_local


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["--engine", "ray", "--ray-address", "127.0.0.1:1"], "ray_unreachable", "127.0.0.1:1"),
        (["--engine", "ray", "--ray-address", "nowhere.invalid:6379"], "ray_unreachable", "nowhere.invalid"),
        (["--engine", "ray", "--ray-address", "cluster"], "ray_unreachable", "host:port"),
        (["--ray-address", "127.0.0.1:1"], "bad_usage", "--ray-address"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_sentence_and_makes_nothing(
    arguments: list[str], code: str, named: str, vial_package: Path, images: Path, tmp_path: Path
) -> None:
    error = refused(vial_package, images, tmp_path / "out", arguments)
    assert error.code == code and named in str(error) and "\n" not in str(error)


def test_without_ray_it_says_how_to_install_it(
    vial_package: Path, images: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    error = refused(vial_package, images, tmp_path / "out", ["--engine", "ray"])
    assert error.code == "ray_missing" and "pip install 'pharma-inspection[ray]'" in str(error)


def refused(package: Path, images: Path, out: Path, arguments: list[str]) -> InspectionError:
    """The error with which the command ends; nothing was made then."""
    words = [str(package), "--folder", str(images), "--out", str(out), "--runtime", RUNTIME, *arguments]
    error = CliRunner().invoke(reinspect, words).exception
    assert isinstance(error, InspectionError), error
    assert not out.exists()
    return error
