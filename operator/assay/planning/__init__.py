"""Snapshot -> Plan, one module a kind. Pure."""
