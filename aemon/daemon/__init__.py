"""The daemon: its threads and processes, and the place where every part is put together."""
