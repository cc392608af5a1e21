"""Generic Kubernetes access - client, watch cache, apply and drift, events, lease. Knows nothing of subnets."""
