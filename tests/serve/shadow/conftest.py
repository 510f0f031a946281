"""What the tests of the shadow share: a candidate beside the active package."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspection.archive import Archive
from inspection.package import Package, open_package, write_package
from inspection.recipe import Recipe
from inspection.recipe_shadow import CandidateRef, ShadowConfig
from inspection.shadow.events import SHADOW, ShadowEvent, read_shadow
from inspection.station import Station
from inspection.verdict import Limits
from tests.inspection.reinspection import with_limits
from tests.serve.line_parts import FollowingDetector


@pytest.fixture(scope="session")
def candidate_file(vial_package: Path, package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The active detector as version 9.0.0, which rejects whatever is not quite like a good one."""
    own = package.manifest.limits
    limits = Limits(review_limit=own.review_limit * 0.6, reject_limit=own.review_limit * 0.7)
    path = tmp_path_factory.mktemp("candidate") / "candidate.onnx"
    write_package(path, with_limits(vial_package, limits))
    return path


@pytest.fixture(scope="session")
def candidate(candidate_file: Path) -> Package:
    """The same, read."""
    return open_package(candidate_file.read_bytes(), str(candidate_file))


@pytest.fixture
def shadowed(recipe: Recipe, candidate_file: Path) -> Recipe:
    """A recipe with a candidate, which may take all the time of a core."""
    config = ShadowConfig(package=CandidateRef(path=candidate_file), share=1.0)
    return recipe.model_copy(update={"shadow": config})


@pytest.fixture
def station(shadowed: Recipe, package: Package, tmp_path: Path) -> Iterator[Station]:
    """A station whose detector does as frames are named."""
    with Archive(tmp_path / "archive") as archive:
        yield Station(shadowed, FollowingDetector(package), archive)  # type: ignore[arg-type]


def shadow_events(archive: Archive, station: str = "station-1") -> list[ShadowEvent]:
    """What is on record of a shadow."""
    rows = [row for row in archive.rows(station) if row["reason"] == SHADOW]
    return [read_shadow(str(row["sequence"]), json.loads(row["details"])) for row in rows]
