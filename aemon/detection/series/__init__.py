"""Records in the context of earlier records of the same entity: windows over time."""
