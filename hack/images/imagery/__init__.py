"""Builds the project's container images and the local Triton, with the standard library alone.

Owns what is written below the user's cache folder (`cache.root()`), nothing else. Every product lies under a key made
from its inputs, so an unchanged input is not built twice, and an interrupted build is never taken for a finished one.
"""
