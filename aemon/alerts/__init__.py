"""Telling people: Prometheus rules made from the configuration."""
