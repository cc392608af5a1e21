"""Metrics, logging, health."""
