"""From features to one score for each record."""
