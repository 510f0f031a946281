"""What the tests of triggers share."""

from collections.abc import Callable, Iterator

import pytest

from tests.serve.triggers.plc import Plc, plc


@pytest.fixture(scope="module")
def controller(free_port: Callable[[], int]) -> Iterator[Plc]:
    """A PLC that is switched on; a test that kills it starts it again."""
    with plc(free_port()) as running:
        yield running
