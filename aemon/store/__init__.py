"""The results database: SQLite by default, PostgreSQL for several replicas."""
