"""assay: a Kubernetes operator for decentralised inference clusters."""

__version__ = "0.1.0"
