"""A registry that the cluster keeps: EndpointSlices and Leases of a Kubernetes API server."""

from .api import Answer, KubernetesApi
from .place import SCHEMES, Place, parse_kubernetes
from .pod import place_of
from .registry import KubernetesRegistry

__all__ = [
    "SCHEMES",
    "Answer",
    "KubernetesApi",
    "KubernetesRegistry",
    "Place",
    "parse_kubernetes",
    "place_of",
]
