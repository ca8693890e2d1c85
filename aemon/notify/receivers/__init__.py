"""The kinds of receivers: one module for each kind; all follow the protocol in `receiver.py`."""
