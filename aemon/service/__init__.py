"""The daemon: monitors that read, judge and learn on a schedule."""
