"""The run of a live test: all questions to the service within the budget, then to the embedded engine over the service's own scenes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from cropcam.pipeline.earthengine.error_messages import classify_error
from cropcam.pipeline.earthengine.error_texts import redacted
from live.archive import fetch_many, fetch_scenes
from live.export_points import EXPORTS
from live.pixel_points import PIXELS
from live.points import Answer, Point
from live.report import Report, Row
from live.side import Side
from live.task_points import TASKS, place_of
from live.text_points import TEXTS

POINTS: tuple[Point, ...] = (*PIXELS, *TEXTS, *TASKS, *EXPORTS)
OpenSide = Callable[[], AbstractContextManager[Side]]


def run(
    service: Side,
    embedded: OpenSide,
    archive: Path,
    report: Report,
    out: Path,
    log: Callable[[str], object],
    points: Sequence[Point] = POINTS,
) -> Report:
    """Ask both sides; the report is written after every step, and whole at the end.

    Args:
        service: the open side of the service.
        embedded: opens the side of the embedded engine over `archive`, after the service's.
        archive: an empty folder for the service's scenes.
        report: without rows.
        out: the report's file.
        log: called with a line per step.
        points: the questions.
    """
    answers: dict[str, Answer] = {}
    report.rows = [Row(point.name, point.question) for point in points]
    by_name = {row.name: row for row in report.rows}
    try:
        for point in points:
            _begin(service, point, by_name[point.name])
        log(f"{len(service.tasks)} tasks started; fetching scenes")
        for name, fetch in (("archive", fetch_scenes), ("archive-many", fetch_many)):
            row = Row(name, "The service's scenes, fetched for the embedded engine")
            row.service = _asked(service, row, lambda fetch=fetch: fetch(service, archive))  # type: ignore[misc]
            report.rows.append(row)
            log(row.line())
        for point in points:
            row = by_name[point.name]
            if point.begin and row.status == "asked":
                service.budget.reserved_eecu_s -= point.eecu_s  # what its task has cost is counted now
            elif row.status == "asked" and (lack := _lack(service, point)):
                row.status = lack
            if row.status == "asked":
                answers[point.name] = _asked(service, row, lambda point=point: point.ask(service))  # type: ignore[misc]
                row.service = _reported(answers[point.name])
            log(f"service: {row.line()}")
            report.write(out)
    finally:
        left = service.cancel_the_rest()
        report.spent = {
            "seconds": round(service.budget.used_s, 1),
            "eecu_s": round(service.budget.used_eecu_s, 2),
            "tasks left running": len(left),
        }
        report.write(out)
    if next(archive.rglob("asset.json"), None):
        _ask_the_engine(embedded, points, by_name, answers, log)
    else:
        for row in report.rows:
            row.status = "not compared: no scenes for the embedded engine" if row.status == "asked" else row.status
    report.write(out)
    return report


def _ask_the_engine(
    embedded: OpenSide, points: Sequence[Point], rows: dict[str, Row], answers: dict[str, Answer], log: Callable[[str], object]
) -> None:
    """Ask the embedded engine what the service has answered, and judge both."""
    asked = [point for point in points if point.name in answers and rows[point.name].status == "asked"]
    with embedded() as side:
        own_rows = {point.name: Row(point.name, point.question) for point in asked}
        for point in asked:
            _begin(side, point, own_rows[point.name])
        for point in asked:
            row, own = rows[point.name], own_rows[point.name]
            answer = _asked(side, own, lambda point=point: point.ask(side)) if own.status == "asked" else {}  # type: ignore[misc]
            row.embedded = _reported(answer)
            if own.status != "asked":
                row.status = f"the embedded engine: {own.status}"
            else:
                try:
                    verdict = point.judge(answers[point.name], answer)
                    row.equal, row.holds, row.notes = verdict.equal, verdict.holds, verdict.notes
                except Exception as error:  # noqa: BLE001 - the other questions go on
                    row.status = f"failed: {type(error).__name__}: {redacted(str(error))}"
            log(row.line())


def _begin(side: Side, point: Point, row: Row) -> None:
    """Start a question's task, if there is one and the side can."""
    has_place = point.needs == "" or bool(side.destinations) if point.needs in ("", "any") else place_of(side, point.needs) is not None
    if not has_place:
        row.status = f"skipped: no {'bucket' if point.needs == 'gs' else 'Drive folder'}"
    elif point.begin:
        if lack := _lack(side, point):
            row.status = lack
            return
        _asked(side, row, lambda: {"begun": point.begin(side)})  # type: ignore[misc]
        side.budget.reserved_eecu_s += point.eecu_s if row.status == "asked" else 0.0


def _lack(side: Side, point: Point) -> str:
    lack = side.budget.lacks(point.seconds, point.eecu_s)
    return f"skipped: budget ({lack})" if lack else ""


def _asked(side: Side, row: Row, ask: Callable[[], Answer]) -> Answer:
    """An answer with its time and cost; a failure goes into the row's status."""
    began, side.eecu_s = time.monotonic(), None
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - the other questions go on
        row.status = f"failed: {type(error).__name__}: {redacted(str(error))[:500]} ({classify_error(error).kind})"
        return {}
    finally:
        row.seconds += round(time.monotonic() - began, 2)
        row.eecu_s = side.eecu_s if row.eecu_s is None else row.eecu_s + (side.eecu_s or 0.0)


def _reported(answer: Answer) -> Answer:
    """An answer without its pixels."""
    return {key: value for key, value in answer.items() if key != "arrays"}
