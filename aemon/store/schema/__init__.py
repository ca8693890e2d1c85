"""The tables, views and column types of the results database, and its migrations."""
