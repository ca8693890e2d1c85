"""The API under `/api/v1`: JSON answers of the operations, described by an OpenAPI document."""
