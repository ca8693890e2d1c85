"""Prometheus rules, and their promtool tests, from a configuration."""
