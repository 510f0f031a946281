"""The pages: one file each, one line in `ROUTERS`. They read; what changes something is a call of the API."""

from serve.pages import (
    account,
    audit,
    batches,
    challenge,
    live,
    records,
    registry,
    registry_compare,
    registry_editors,
    review,
    settings,
    shadow,
    sign_in,
    trends,
    unit,
    users,
)

ROUTERS = (
    live.router, review.router, records.router, unit.router, trends.router, batches.router, challenge.router,
    registry_compare.router, registry_editors.router, registry.router, audit.router, shadow.router,
    users.router, settings.router, account.router, sign_in.router,
)  # fmt: skip
