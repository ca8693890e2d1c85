"""One file for each kind of detector; `registry` has the table."""
