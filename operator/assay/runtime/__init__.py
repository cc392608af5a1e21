"""A generic control loop - work queue, backoff, clock. Knows nothing of Kubernetes."""
