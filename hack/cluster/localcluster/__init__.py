"""A single-node Kubernetes inside one network namespace: built from source, started, watched and taken down.

Standard library only, so that the system's python3 can run it before any environment exists.
"""
