"""The Prometheus metrics: one catalogue, from which they are made, documented and tested."""
