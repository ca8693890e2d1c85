"""Records from any database that SQLAlchemy reaches."""
