"""Event times in all the forms in which they are written."""
