"""One file for each kind of receiver, behind the one protocol in `receiver.py`."""
