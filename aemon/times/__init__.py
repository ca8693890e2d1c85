"""Event times, whichever way they are written."""
