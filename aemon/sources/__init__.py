"""Sources of records: one folder for each kind; each kind implements a protocol of `source.py`."""
