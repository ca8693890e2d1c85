"""Whether others keep this machine busy: then a run may still be going when the next is due."""

import os


def machine_is_busy() -> bool:
    """Whether more wants to run than there are cores, over the last minute."""
    return os.getloadavg()[0] > (os.cpu_count() or 1)
