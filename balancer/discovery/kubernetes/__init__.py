"""A registry that the cluster keeps: EndpointSlices and Leases of a Kubernetes API server."""

from .api import Answer, KubernetesApi
from .place import POD_FILES, SCHEMES, Place, in_pod, parse_kubernetes
from .registry import KubernetesRegistry

__all__ = [
    "POD_FILES",
    "SCHEMES",
    "Answer",
    "KubernetesApi",
    "KubernetesRegistry",
    "Place",
    "in_pod",
    "parse_kubernetes",
]
