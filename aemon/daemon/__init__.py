"""The daemon: its threads and processes, and the code that connects all parts."""
