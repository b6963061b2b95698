"""A dask cluster inside the test's own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def local_cluster() -> Iterator[str]:
    """The address of a cluster of two threads on loopback.

    Its scheduler answers HTTP on a port of the system's choice: tests side by side have a cluster each, and dask warns when its usual port is taken.
    """
    from distributed import LocalCluster

    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        memory_limit=0,
        protocol="tcp",
        host="127.0.0.1",
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        worker_dashboard_address=None,
    ) as cluster:
        yield cluster.scheduler_address
