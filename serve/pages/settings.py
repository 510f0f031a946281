"""Rules of accounts, and what the station runs with."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.policy import Policy, read_policy
from inspection.accounts.roles import Permission
from inspection.archive import Archive
from inspection.archive_settings import DATABASE_FILE
from inspection.audit import AuditQuery, find_audit
from inspection.object_store import ObjectStore
from inspection.retention_marks import REMOVED
from serve.authentication import Who
from serve.deps import Allowed, ArchiveDep, AuthenticationDep, ServiceDep
from serve.pages.page import page

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.AUDIT))]


@dataclass(frozen=True)
class Rule:
    """A rule of accounts: its value now and by default, and the range that is allowed, None for yes or no."""

    name: str
    value: int | bool
    default: int | bool
    least: int | None
    most: int | None


@router.get("/settings", response_class=HTMLResponse)
def show(
    request: Request, service: ServiceDep, archive: ArchiveDep, authentication: AuthenticationDep, who: Reader
) -> HTMLResponse:
    """The page: to change for administrators, to read for whoever may read the audit trail."""
    with archive.reader() as connection:
        rules = list_rules(read_policy(connection))
    open_id = request.app.state.open_id
    recipe = service.line.recipe
    return page(
        request, service, who, "settings", scripted=("settings",), rules=rules, recipe=recipe, places=places(archive),
        secure=authentication.secure, provider=open_id.settings if open_id else None,
        fingerprint=service.key.fingerprint, public_key=service.key.public_key,
        removals=list(find_audit(archive, AuditQuery(what=REMOVED), 5)),
        changes=list(find_audit(archive, AuditQuery(what="policy_changed"), 5)),
        recipe_file=service.line.recipe_file.name, packages=_packages(service),
    )  # fmt: skip


def list_rules(policy: Policy) -> list[Rule]:
    """All rules with their ranges, as `Policy` says them."""
    found = []
    for name, field in Policy.model_fields.items():
        least, most = (
            next((getattr(one, key) for one in field.metadata if hasattr(one, key)), None) for key in ("ge", "le")
        )
        found.append(Rule(name, getattr(policy, name), field.default, least, most))
    return found


def places(archive: Archive) -> dict[str, str]:
    """Where the archive keeps what it keeps. Addresses of databases have no password in them."""
    settings = archive.settings
    store = settings.store
    images = f"{store.endpoint or 'S3'}/{store.bucket}/{store.prefix}".rstrip("/") if store else ""
    if not isinstance(archive.images, ObjectStore):
        images = str((settings.images or archive.folder / "images").resolve())
    return {
        "folder": str(archive.folder.resolve()),
        "database": settings.database or str((archive.folder / DATABASE_FILE).resolve()),
        "images": images,
        "key": str((settings.signing_key or archive.folder / "signing.key").resolve()),
    }


def _packages(service: ServiceDep) -> list[dict[str, Any]]:
    identity = service.line.detector.identity
    return [dict(one) for one in identity.values() if isinstance(one, dict) and "sha256" in one]
