"""Sources of records: one folder for each kind; all kinds have the protocols of `source.py`."""
