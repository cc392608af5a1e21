"""Builds the project's container images and the local Triton, with the standard library alone.

Owns what is written below the user's cache folder (`cache.root()`), nothing else. Every product lies under a key made
from its inputs, so an unchanged input is never built twice and an interrupted build is never mistaken for a finished one.
"""
