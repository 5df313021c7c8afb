"""The route for the metrics."""

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from quart import Response

from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import text
from fleet.gateway.server.metrics import Metrics

_EXAMPLE = """# HELP fleet_log_position Position of the last event
# TYPE fleet_log_position gauge
fleet_log_position 42.0
"""


endpoint = Endpoints("/api/metrics", "fleet")


@endpoint("GET", gives=text("text/plain", _EXAMPLE))
async def read_metrics(metrics: Metrics) -> Response:
    """Read the metrics, for Prometheus.

    No label holds an id, a title or a path.
    """
    return Response(metrics.text(), content_type=CONTENT_TYPE_PLAIN_0_0_4)
