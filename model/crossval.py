"""Cross-validation over stores: a run for each store, place or year left out, scored there and at home, in one table.

A fold is a run folder, DIR/without-NAME. What is trained or scored is not repeated: a stopped call goes on where it stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cropcam.model.data.store_groups import Group, store_groups
from cropcam.model.evaluation.elsewhere import folder_on
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.evaluation.truth import ALL
from cropcam.model.options import Settings, flag
from cropcam.model.report.gains import difference_columns, from_home, metric_columns
from cropcam.model.report.runs import read_elsewhere, read_run
from cropcam.model.runs.checkpoint import BEST, METRICS, write_json
from cropcam.model.runs.config import CONFIG, load_config
from cropcam.model.runs.sealed import read_sealed
from cropcam.model.training.train import train
from cropcam.pipeline import __version__
from cropcam.pipeline.csv_cells import table_text
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.runtime.outputs import Output, always, check_outputs
from cropcam.pipeline.runtime.progress import Stage, silent
from cropcam.pipeline.store.joined import store_names
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from cropcam.pipeline.text_files import read_json

CSV, JSON, BEGUN = "crossval.csv", "crossval.json", "settings.json"
MEAN = "mean"  # the fold of the last row
_MEANS = ("pixel_accuracy", "macro_f1", "majority_accuracy", "home_pixel_accuracy", "difference")


@dataclass(frozen=True)
class CrossValidation:
    """One row for each store left out, the last one of the means; the files written."""

    table: pd.DataFrame
    csv: Path
    json: Path

    def rows(self) -> list[dict[str, Any]]:
        """The rows, empty cells as None."""
        records = self.table.astype(object).where(self.table.notna(), None).to_dict("records")
        return [{str(key): value for key, value in record.items()} for record in records]


def crossval(
    stores: Sequence[Path],
    out: Path,
    settings: Settings | None = None,
    *,
    leave_out: str = "store",
    device: str = "auto",
    tensorboard: bool = False,
    stages: Callable[[str], Stage] | None = None,
    log: Callable[[str], None] = silent,
) -> CrossValidation:
    """Train a run without each group of stores, score it there and at home, and write OUT/crossval.csv and OUT/crossval.json.

    Args:
        stores: finished stores with labels, of the same bands, patch size and classes.
        out: folder of the runs and the table; made if absent.
        settings: of every run.
        leave_out: what a group is: a store, a place (stores whose bounds overlap) or a year (in which the seasons begin).
        device: auto, cpu or cuda.
        tensorboard: also write tensorboard files into the runs.
        stages: makes the progress of a fold from its name.
        log: called with single lines where there are no `stages`.

    Raises:
        ConfigError: fewer than two groups, a store named twice, a setting that does not go with it, or `out` holds a
            cross-validation of other stores or settings.
        DataError: the stores do not fit each other, or one has no labels; as of `train` and `evaluate`.
        KeyboardInterrupt: SIGTERM or Ctrl-C; finished folds are kept.
        OSError: the disk refused.
    """
    passed = settings.passed if settings else {}
    _check_settings(passed)
    opened = [open_store(path) for path in stores]
    groups, names = store_groups(opened, leave_out), store_names([store.path for store in opened])
    for store in opened:
        if not store.info.has_labels:
            raise DataError(f"{store.path}: has no labels to score against when it is left out; leave it away, or build it with labels")
    _begin(out, {"leave_out": leave_out, "stores": {n: s.info.digest for n, s in zip(names, opened, strict=True)}, "settings": passed})
    rows: list[dict[str, Any]] = []
    for number, group in enumerate(groups, 1):
        with stages(f"fold {number}/{len(groups)}") if stages else nullcontext() as stage:
            progress, tell = (stage, stage.log) if stage else (silent, log)
            tell(f"left out: {', '.join(names[n] for n in group.stores)}")
            if caution := _leak(passed, opened, group):
                tell(caution)
            run, trained = out / run_name(group.name), [n for n in range(len(opened)) if n not in group.stores]
            paths = [opened[n].path for n in trained]
            train(paths, run, settings, device=device, resume=True, tensorboard=tensorboard, progress=progress, log=tell)
            if not is_scored(run, run, "test"):
                evaluate(run, device=device, progress=progress)
            for n in group.stores:
                if not is_scored(run, folder_on(run, opened[n].path, opened[n].info.digest), ALL):
                    evaluate(run, on=opened[n].path, split=ALL, device=device, progress=progress)
            rows += _rows(run, group, [(names[n], opened[n]) for n in group.stores], [names[n] for n in trained])
    return _written(out, rows, leave_out)


def run_name(group: str) -> str:
    """The folder of the run without a group.

    >>> run_name("iowa"), run_name("a/iowa")
    ('without-iowa', 'without-a-iowa')
    """
    return f"without-{group.replace('/', '-')}"


def is_scored(run: Path, folder: Path, split: str) -> bool:
    """Whether a folder has the metrics of a run's present weights on a split, by this version."""
    try:
        metrics = read_sealed(folder / METRICS, "the metrics of a run", "provenance", step="evaluate the run again")
        made = metrics["provenance"]
        return (metrics["split"], made["code_version"], made["checkpoint_digest"]) == (split, __version__, file_sha256(run / BEST))
    except (DataError, OSError, ValueError, KeyError, TypeError):
        return False


def with_means(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a table, and a last one of the means over folds; the stores of a fold are averaged first."""
    table = pd.DataFrame(rows)
    means = table[list(_MEANS)].astype(float).groupby(table["fold"], sort=False).mean().mean()
    last = {"fold": MEAN, "left_out": f"{table['fold'].nunique()} folds", "trained_on": "", "patches": int(table["patches"].sum())}
    return pd.DataFrame([*rows, {**dict.fromkeys(table.columns), **last, **{name: float(means[name]) for name in _MEANS}}])


def _check_settings(passed: dict[str, Any]) -> None:
    if passed.get("hold_out_store"):
        raise ConfigError(
            f"--hold-out-store {passed['hold_out_store']} does not go with crossval, which leaves each group out in turn; leave the option out"
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("crossval runs in one process; start it without torchrun")


def _begin(out: Path, record: dict[str, Any]) -> None:
    """Keep what the folds have in common; a later call with anything else is refused.

    Raises:
        ConfigError: names the first difference.
    """

    def is_begun(_: Path) -> bool:
        return (out / BEGUN).is_file()

    tables = [Output(out / name, "", "cross-validation", is_begun) for name in (CSV, JSON)]
    check_outputs([Output(out, "--out", "folder", always, is_folder=True), *tables])
    if (out / CONFIG).exists():
        raise ConfigError(f"--out {out}: is the folder of a run; name another one")
    now, path = json.loads(json.dumps(record, default=str)), out / BEGUN
    if path.is_file():
        try:
            then = read_json(path, "the settings of a cross-validation")
            differing = [_difference(key, then[key], now[key]) for key in now if then[key] != now[key]]
        except (DataError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path}: damaged ({error}); name another folder with --out") from None
        if differing:
            raise ConfigError(f"{out}: holds a cross-validation with {differing[0]}; name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, now)


def _difference(key: str, then: Any, now: Any) -> str:  # noqa: ANN401 - JSON values
    if key == "leave_out":
        return f"--leave-out {then}, now {now}"
    if key == "stores":
        if sorted(then) != sorted(now):
            return f"the stores {', '.join(then)}, now {', '.join(now)}"
        changed = next((name for name in now if then[name] != now[name]), "")
        return (
            f"another store {changed} (digest {then[changed][:12]}, now {now[changed][:12]})" if changed else "the stores in another order"
        )
    name = next(name for name in {**then, **now} if then.get(name) != now.get(name))
    before, after = (f"{flag(name)} {values[name]}" if name in values else f"no {flag(name)}" for values in (then, now))
    return f"{before}, now {after}"


def _leak(passed: dict[str, Any], opened: Sequence[PatchStore], group: Group) -> str:
    """A line where the run of --init was trained on a store that is left out."""
    init = Path(passed.get("init") or "")
    if not passed.get("init") or not (init / CONFIG).is_file():
        return ""
    trained = load_config(init).trained_digests
    known = [str(opened[n].path) for n in group.stores if opened[n].info.digest in trained]
    return (
        f"warning: --init {init} was trained on {', '.join(known)}, which is left out here: it is not new to the network" if known else ""
    )


def _rows(run: Path, group: Group, left: Sequence[tuple[str, PatchStore]], trained: Sequence[str]) -> list[dict[str, Any]]:
    home = read_run(run, run.name)
    scored = {away.digest: away for away in read_elsewhere(run, home)}
    rows = []
    for name, store in left:
        away = scored[store.info.digest]
        rows.append(
            {
                "fold": group.name,
                "left_out": name,
                "trained_on": ", ".join(trained),
                "patches": away.metrics["patches"],
                **metric_columns({"pixel_accuracy": "pixel_accuracy", "macro_f1": "macro_f1"}, away.segmentation),
                "majority_accuracy": away.metrics["segmentation"]["majority_accuracy"],
                **metric_columns({"home_pixel_accuracy": "pixel_accuracy"}, home.segmentation),
                **difference_columns("difference", from_home(home, away)),
            }
        )
    return rows


def _written(out: Path, rows: Sequence[dict[str, Any]], leave_out: str) -> CrossValidation:
    found = CrossValidation(with_means(rows), out / CSV, out / JSON)
    *each, mean = json.loads(found.table.to_json(orient="records", double_precision=15))
    atomic_write(found.csv, table_text(found.table, float_format="%.6f"))
    write_json(found.json, {"leave_out": leave_out, "rows": each, "mean": {name: mean[name] for name in ("patches", *_MEANS)}})
    return found
