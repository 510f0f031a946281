"""What engineers bring under change control: packages, recipes, changed recipes, and reports of evaluations."""

from typing import Annotated, Any

from fastapi import APIRouter, File, UploadFile

from inspection.accounts.roles import Permission
from inspection.package import Package, open_package
from inspection.registry.content import read_uploaded
from inspection.registry.items import read_versions
from inspection.registry.kept import stored_package
from inspection.verdict import Limits
from serve.deps import AddressDep, ArchiveDep, AuthenticationDep, ServiceDep, allow
from serve.problems import Problem
from serve.routes.signed_steps import Developer, FormDep, Kind, Signed, Version, read_file, registry_of, told

router = APIRouter(prefix="/api/registry", tags=["registry"])
_RECIPE_BYTES, _REPORT_BYTES, _MOST_FILES = 2**20, 32 * 2**20, 2


class Changed(Signed):
    """A changed copy of a recipe: its new number, and its new `limits` or `region` (null: none of its own), or both."""

    new_version: Version
    limits: Limits | None = None
    region: dict[str, Any] | None = None


@router.post("/package", status_code=201, dependencies=[allow(Permission.DEVELOP)])
def register_package(form: FormDep, file: UploadFile) -> dict[str, Any]:
    """Keep a package file as a draft."""
    data = read_file(file)
    return told(lambda: form.registry.keep_package(open_package(data, _name(file)), form.why))


@router.post("/recipe", status_code=201, dependencies=[allow(Permission.DEVELOP)])
def register_recipe(
    form: FormDep, archive: ArchiveDep, file: UploadFile, packages: Annotated[list[UploadFile] | None, File()] = None
) -> dict[str, Any]:
    """Keep a recipe as a draft. Its packages come with it, under the names of the files that it names, or are
    registered and named by `sha256`."""
    if len(packages or ()) > _MOST_FILES:
        raise Problem(422, "request_invalid", f"a recipe has {_MOST_FILES} packages at most")
    text = read_file(file, _RECIPE_BYTES)
    uploaded = {_name(one): read_file(one) for one in packages or () if one.filename}

    def kept(digest: str) -> Package | None:
        versions = read_versions(archive).values()
        found = next((one for one in versions if one.kind == "package" and one.digest == digest), None)
        return stored_package(archive, found) if found else None

    return told(lambda: form.registry.keep_recipe(*read_uploaded(text, uploaded, kept), form.why))


@router.post("/{kind}/{named}/{version}/evaluate", dependencies=[allow(Permission.DEVELOP)])
def evaluate(
    form: FormDep, kind: Kind, named: str, version: str, report: Annotated[UploadFile | None, File()] = None
) -> dict[str, Any]:
    """A draft was evaluated. A package needs the report that `inspection evaluate --json` wrote of it."""
    data = read_file(report, _REPORT_BYTES) if report and report.filename else None
    return told(lambda: form.registry.evaluate(kind, named, version, form.why, data))


@router.post("/recipe/{name}/{version}/draft", status_code=201, dependencies=[allow(Permission.DEVELOP)])
def draft(
    name: str, version: str, asked: Changed, service: ServiceDep, authentication: AuthenticationDep,
    address: AddressDep, who: Developer,
) -> dict[str, Any]:  # fmt: skip
    """Keep a changed copy of a recipe as a draft; the recipe itself stays as it is."""
    changed = asked.model_dump(mode="json", include={"limits", "region"} & asked.model_fields_set)
    if not changed:
        raise Problem(422, "request_invalid", "a changed recipe has new `limits` or a new `region`")
    registry = registry_of(asked, service, authentication, address, who)
    return told(lambda: registry.draft_recipe(name, version, asked.new_version, asked.why, changed))


def _name(file: UploadFile) -> str:
    """The file's own name, wherever it lay."""
    return (file.filename or "upload").replace("\\", "/").rpartition("/")[2][:255]
