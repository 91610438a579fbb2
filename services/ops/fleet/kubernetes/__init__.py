"""Replacement on Kubernetes: a Deployment a service, whose pods the cluster replaces itself."""
