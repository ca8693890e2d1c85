"""What can be read to its end: files, not pipes, devices, sockets or what the kernel makes up."""

import stat
from pathlib import Path

_OF_THE_KERNEL = ("/proc", "/sys")  # /proc/kmsg is called a plain file, and never ends


def why_not_plain(path: Path) -> str:
    """Return why a path is no plain file; empty if it is one.

    Raises:
        OSError: it is not there, or may not be looked at.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return "is no plain file, but a pipe, device or socket"
    there = path.resolve()
    if any(there.is_relative_to(kernel) for kernel in _OF_THE_KERNEL):
        return "is no file on a disk, but tells of the kernel"
    return ""
