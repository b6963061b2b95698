"""Memory that the C library keeps for the process after it was freed."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def keep_freed_memory(*buffer_bytes: int, heap_bytes: int) -> None:
    """Keep freed buffers in the process for later ones; does nothing where the C library is not glibc.

    By default glibc returns large buffers to the system at once, and the system clears each page again.

    Args:
        buffer_bytes: buffers below this size are kept; the first value that glibc accepts counts.
        heap_bytes: free memory at the top of the heap is returned from this size on.

    Source: mallopt(3).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    if any(mallopt(_M_MMAP_THRESHOLD, size) for size in buffer_bytes):
        mallopt(_M_TRIM_THRESHOLD, heap_bytes)  # alone it would turn off the adaptive threshold, and no buffer would be kept
