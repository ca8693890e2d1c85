"""The schema of the results database: tables, views, column types, and schema revisions."""
