"""One module for each kind of detector; `detector_kinds` has the table of all kinds."""
