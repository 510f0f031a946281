"""What tests share: simulated units, a small real package, filled archives, and the real images where they lie."""

# isort: off
import tests.own_cores  # noqa: F401
# isort: on

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from data.labelled import make_labelled_split
from data.simulator import PRODUCTS, write_dataset
from data.splits import make_split
from inspection.accounts import passwords
from inspection.archive import Archive
from inspection.detector import Detector
from inspection.frames import list_images, read_frame
from inspection.package import Package, read_package, write_package
from inspection.recipe import PackageRef, Recipe
from inspection.station import Station
from tests.databases import PostgreSql, binary, postgresql_server
from tests.object_stores import S3Server, s3_server
from training.classifier_options import ClassifierOptions
from training.fit import fit_anomaly
from training.fit_classifier import fit_classifier
from training.options import FitOptions

ROOT = Path(__file__).parent.parent
FitVials = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Passwords are hashed at the least cost within the tests' own process; commands that tests run hash as always. A
    thousand accounts at the real cost are minutes."""
    with pytest.MonkeyPatch.context() as patch:
        quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(passwords, "_hasher", quick)
        patch.setattr(passwords, "_ABSENT", quick.hash("nobody"))
        yield


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Gives a port of the loopback interface that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


def missing(reason: str) -> None:
    """Something that a test needs is not on this machine: a failure where INSPECTION_REQUIRE_TEST_DATA is set."""
    if os.environ.get("INSPECTION_REQUIRE_TEST_DATA"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql(free_port: Callable[[], int]) -> Iterator[PostgreSql]:
    """A real PostgreSQL server."""
    if binary("initdb") is None:
        missing("PostgreSQL is not installed: the tests of that database cannot run")
    with postgresql_server(free_port()) as server:
        yield server


@pytest.fixture
def own_s3(free_port: Callable[[], int]) -> Iterator[S3Server]:
    """A local S3 server with an empty bucket, which the test may stop and start again."""
    with s3_server(free_port) as server:
        yield server


@pytest.fixture(scope="session")
def vial_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the category `vial` in the mvtec layout: 20 good to train on, 6 good and 3 per defect to test."""
    root = tmp_path_factory.mktemp("simulated")
    write_dataset(root, "vial", good=20, test_good=6, per_defect=3, seed=5)
    return root


@pytest.fixture(scope="session")
def vial_images(vial_dataset: Path) -> dict[str, list[Path]]:
    """Test images by defect, `good` among them."""
    names = ["good", *PRODUCTS["vial"].defect_names]
    return {name: list_images(vial_dataset / "vial" / "test" / name) for name in names}


@pytest.fixture(scope="session")
def vial_package(vial_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small package, fitted on simulated vials by the real fit."""
    split = make_split("mvtec", vial_dataset, "vial")
    fitted = fit_anomaly(
        split, vial_dataset, FitOptions(algorithm="patchcore", size=192, bank=300, folds=2, false_reject_rate=0.05)
    )
    path = tmp_path_factory.mktemp("package") / "vial.onnx"
    write_package(path, fitted.data)
    return path


@pytest.fixture(scope="session")
def package(vial_package: Path) -> Package:
    """`vial_package`, read."""
    return read_package(vial_package)


@pytest.fixture(scope="session")
def detector(package: Package) -> Detector:
    """`vial_package`, loaded."""
    return Detector(package)


@pytest.fixture(scope="session")
def classifier_package(vial_dataset: Path, package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of the simulated vials' defects, hardly trained, with the model input of `vial_package`."""
    split = make_labelled_split("mvtec", vial_dataset, "vial", 0, "rgb")
    folder = tmp_path_factory.mktemp("classifier")
    options = ClassifierOptions(geometry=package.manifest.input, steps=30, false_reject_rate=0.05)
    fitted = fit_classifier(split, vial_dataset, options, checkpoints=folder)
    write_package(folder / "classes.onnx", fitted.data)
    return folder / "classes.onnx"


@pytest.fixture
def recipe(vial_package: Path) -> Recipe:
    """A recipe without a camera that runs `vial_package`."""
    return Recipe(
        name="vials", version="1.0.0", product="vial", package=PackageRef(path=vial_package), deadline_ms=60_000
    )


@pytest.fixture
def filled_archive(
    tmp_path: Path, recipe: Recipe, detector: Detector, vial_images: dict[str, list[Path]]
) -> Callable[[int], Path]:
    """Makes an archive folder with that many inspected units, good and defective by turns."""

    def fill(units: int) -> Path:
        folder = tmp_path / "archive"
        turns = [path for group in zip(*vial_images.values(), strict=False) for path in group]
        with Archive(folder) as archive:
            station = Station(recipe, detector, archive)
            for number in range(units):
                station.inspect(read_frame(turns[number % len(turns)]), unit=f"unit-{number}")
        return folder

    return fill


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; absence is a failure where INSPECTION_REQUIRE_TEST_DATA is set, else a skip."""
    folder = Path(os.environ.get("INSPECTION_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "mvtec_ad").is_dir():
        missing(f"{folder} has no mvtec_ad: set INSPECTION_TEST_DATA to the folder of real images")
    return folder


@pytest.fixture(scope="session")
def inspection() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in a process of its own, as a person would; nothing may show a traceback."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "inspection", *(str(argument) for argument in arguments)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False, **options)  # type: ignore[call-overload]
        assert "Traceback" not in done.stderr, done.stderr
        return done  # type: ignore[no-any-return]

    return run
