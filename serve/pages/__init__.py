"""The pages: one file each, one line in `ROUTERS`. They read; what changes something is a call of the API."""

from serve.pages import account, audit, batches, live, records, registry, review, settings, sign_in, trends, unit, users

ROUTERS = (
    live.router, review.router, records.router, unit.router, trends.router, batches.router, registry.router,
    audit.router, users.router, settings.router, account.router, sign_in.router,
)  # fmt: skip
