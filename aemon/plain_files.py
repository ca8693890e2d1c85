"""A check for plain files, as opposed to pipes, devices, sockets and files of the kernel."""

import stat
from pathlib import Path

_OF_THE_KERNEL = ("/proc", "/sys")  # /proc/kmsg claims to be a plain file, but never ends


def why_not_plain(path: Path) -> str:
    """Return why a path is not a plain file on a disk; empty if it is a plain file.

    Raises:
        OSError: the path does not exist, or access to it is denied.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return "is not a plain file, but a pipe, device or socket"
    resolved = path.resolve()
    if any(resolved.is_relative_to(kernel) for kernel in _OF_THE_KERNEL):
        return "is not a file on a disk: the kernel generates it"
    return ""
