"""Where records come from: one file per kind, behind the one protocol in `source.py`."""
