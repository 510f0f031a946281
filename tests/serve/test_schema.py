"""Whatever the API's own description allows, and what it does not, is answered without a failure of the service."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.people import PASSWORD, people
from tests.serve.serving import Running, machine, running, write_recipe

# A stream has no end, and these end the sessions that this test asks with.
_LEFT_OUT = r"^/api/(events|session.*|users/.*)$"
Identities = list[dict[str, str]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, vial_package: Path) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("schema")
    people(folder / "archive", max="engineer,quality,operator,reviewer")
    camera = {"kind": "http", "name": "top"}
    with running(write_recipe(folder, vial_package, camera=camera), folder / "archive") as served:
        yield served


@pytest.fixture(scope="module")
def identities(service: Running) -> Identities:
    """Headers of a machine, an administrator, and somebody who may do everything else."""
    found = [machine(service.service.archive.folder)]
    for name in ("root.person", "max"):
        answer = httpx.post(service.address + "api/session", json={"name": name, "password": PASSWORD})
        found.append({"Cookie": f"inspection={answer.cookies['inspection']}"})
    return found


@pytest.fixture(scope="module")
def described(service: Running, identities: Identities) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(service.address + "openapi.json", headers=identities[0]).exclude(
        path_regex=_LEFT_OUT
    )


def test_no_call_is_answered_by_a_failure(described: schemathesis.BaseSchema, identities: Identities) -> None:
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 30
    for operation in operations:

        @settings(
            max_examples=6, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy())
        def asked(case: schemathesis.Case) -> None:
            for headers in identities:
                answer = case.call(headers=headers)
                assert answer.status_code < 500, answer.text

        asked()
