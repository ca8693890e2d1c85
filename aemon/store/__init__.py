"""The store (results database): SQLite by default, PostgreSQL to run several replicas."""
