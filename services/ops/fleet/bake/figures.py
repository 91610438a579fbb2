"""A replica's metrics page, as far as a bake looks at it. Pure."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from .comparison import Figures

_OF_REQUESTS = "mesh_request"


def read_figures(page: str) -> Figures:
    """Read what a replica answered since it started.

    Args:
        page: in Prometheus's text form.

    Raises:
        ValueError: it is not.
    """
    # Only these lines: the whole page has some hundred more.
    lines = (line for line in page.splitlines() if _OF_REQUESTS in line)
    requests = errors = seconds = 0.0
    buckets: dict[float, float] = {}
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            match sample.name:
                case "mesh_requests_total":
                    requests += sample.value
                    if sample.labels.get("status", "").startswith("5"):
                        errors += sample.value
                case "mesh_request_seconds_sum":
                    seconds += sample.value
                case "mesh_request_seconds_bucket":
                    bound = float(sample.labels["le"])
                    buckets[bound] = buckets.get(bound, 0.0) + sample.value
    return Figures(
        requests=requests, errors=errors, seconds=seconds, buckets=dict(sorted(buckets.items()))
    )
