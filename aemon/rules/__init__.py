"""Prometheus rules and their promtool tests, both made from a configuration."""
