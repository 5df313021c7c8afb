"""The route for the metrics."""

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from quart import Blueprint, Response

from fleet.gateway.openapi.document import about, gives_text
from fleet.gateway.server.metrics import Metrics
from fleet.gateway.server.requests import read_query
from fleet.wire.bodies import Query

_EXAMPLE = """# HELP fleet_log_position Position of the last event
# TYPE fleet_log_position gauge
fleet_log_position 42.0
"""


def metric_routes(metrics: Metrics) -> Blueprint:
    """Return the route to the metrics."""
    routes = Blueprint("metrics", __name__, url_prefix="/api/metrics")

    @routes.get("")
    @about("fleet")
    @gives_text("text/plain", _EXAMPLE)
    async def read_metrics() -> Response:
        """Read the metrics, for Prometheus.

        No label holds an id, a title or a path.
        """
        read_query(Query)
        return Response(metrics.text(), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return routes
