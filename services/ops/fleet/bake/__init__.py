"""How new replicas do beside old ones, from the counters of both. Pure."""
