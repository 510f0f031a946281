"""What Prometheus reads."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from inspection.accounts.roles import Permission
from serve.deps import ServiceDep, allow

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=Response, dependencies=[allow(Permission.METRICS)])
def metrics(service: ServiceDep) -> Response:
    """Counters, gauges and histograms in Prometheus' text format."""
    return Response(service.metrics_text(), media_type=CONTENT_TYPE_LATEST)
