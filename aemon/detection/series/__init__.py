"""Records seen beside those before them, entity by entity: windows over time."""
