"""What the tests of the service share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serve.output_controllers import Plc
from tests.serve.serving import Running, running, write_recipe


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    """Where a recipe would lie; relative paths in it are seen from its folder."""
    return tmp_path / "recipe.yaml"


@pytest.fixture
def plc(free_port: Callable[[], int]) -> Iterator[Plc]:
    """A PLC's stand-in that listens."""
    made = Plc(free_port())
    made.start()
    yield made
    made.end()


@pytest.fixture
def station(tmp_path: Path, vial_package: Path) -> Iterator[Running]:
    """A running service without a camera, its archive in `tmp_path/archive`."""
    with running(write_recipe(tmp_path, vial_package), tmp_path / "archive") as served:
        yield served


@pytest.fixture(scope="module")
def shared_station(tmp_path_factory: pytest.TempPathFactory, vial_package: Path) -> Iterator[Running]:
    """The same for tests that do not mind what others have put into its archive."""
    folder = tmp_path_factory.mktemp("shared")
    with running(write_recipe(folder, vial_package), folder / "archive") as served:
        yield served
