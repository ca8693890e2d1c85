"""Sources of records: one folder for each kind, all behind the protocols in `source.py`."""
