"""The Prometheus metrics; one catalogue is used to make, to document and to test them."""
