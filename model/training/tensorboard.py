"""RUN/tensorboard: the history of a run for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cropcam.model.runs.history import COLUMNS, Row
from cropcam.pipeline.extras import need


@contextmanager
def history_writer(run: Path, wanted: bool, epoch: int) -> Iterator[Callable[[Row], None]]:
    """A function to call with each new epoch; without `wanted` it does nothing. Events after `epoch` are purged.

    Raises:
        ConfigError: TensorBoard is not installed.
    """
    if not wanted:
        yield lambda _row: None
        return
    need("--tensorboard", "tensorboard")
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra

    with SummaryWriter(run / "tensorboard", purge_step=epoch + 1) as writer:

        def write(row: Row) -> None:
            for name in COLUMNS[1:]:
                writer.add_scalar(name, getattr(row, name), row.epoch)
            writer.flush()

        yield write
