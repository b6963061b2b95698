"""Costs: sums and shares, the limit, the tag."""

from __future__ import annotations

import re
from dataclasses import replace

import ee
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.earthengine import cost
from cropcam.pipeline.earthengine.cost import TIERS, Verdict, check_limit, may_submit, rate, spent, spent_text, workload_tag
from cropcam.pipeline.earthengine.task_status import Row, is_active
from cropcam.pipeline.errors import ConfigError

STATES = ("UNSUBMITTED", "PENDING", "RUNNING", "CANCELLING", "SUCCEEDED", "CANCELLED", "FAILED", "PAUSED_FOR_NOW")


def row(state: str, eecu_s: float | None = None, layer: str = "image", pixels: int = 1_000, **more: object) -> Row:
    return replace(Row("t", layer, state, None, eecu_s, "", (), pixels=pixels), **more)  # type: ignore[arg-type]


ROWS = st.lists(
    st.builds(
        row, st.sampled_from(STATES), st.none() | st.integers(100, 10_000).map(float), st.sampled_from(["image", "labels"]), st.integers(1, 4_096),
        progress=st.none() | st.sampled_from([0.0, 0.05, 0.125, 0.5]), earlier_eecu_s=st.integers(0, 100).map(float),
    ),
    max_size=6,
)  # fmt: skip


def test_what_is_spent_counts_every_attempt_in_every_state() -> None:
    rows = [row("SUCCEEDED", 3_600.0), row("FAILED", 1_800.0), row("RUNNING", 1_800.0, earlier_eecu_s=900.0), row("PENDING")]
    assert spent(rows) == pytest.approx(2.0)
    assert spent([]) == 0


def test_the_sum_has_its_share_of_each_month() -> None:
    rows = [row("SUCCEEDED", 12.4 * 3_600), row("RUNNING")]
    assert spent_text(rows) == (
        "12.4 EECU-hours so far: 8.3 % of a Community month (150), 1.2 % of a Contributor month (1,000), 0.01 % of a Partner month (100,000)"
    )
    assert spent_text(rows[:1]).startswith("12.4 EECU-hours: 8.3 %")
    assert spent_text([row("RUNNING")]) == "EECU: the service has reported none yet"
    assert spent_text([row("UNSUBMITTED", 36.0, earlier_eecu_s=36.0)]).startswith("0.0100 EECU-hours: under 0.01 % of a Community")


@pytest.mark.parametrize(
    ("hours", "text"), [(0, "0"), (0.00001, "under 0.0001"), (0.25, "0.2500"), (2.345, "2.35"), (12.44, "12.4"), (1234.5, "1,234")]
)
def test_hours_have_about_three_digits(hours: float, text: str) -> None:
    assert cost.in_hours(hours) == text


def test_a_share_of_a_month_is_never_rounded_to_nothing() -> None:
    assert [cost.share(hours, TIERS[0]) for hours in (0, 0.001, 0.15, 15, 450)] == ["0 %", "under 0.01 %", "0.10 %", "10.0 %", "300 %"]


def test_a_rate_comes_from_what_ended_else_from_what_has_begun() -> None:
    running = row("RUNNING", 50.0, progress=0.5)
    assert rate([row("PENDING"), row("RUNNING", 9.0, progress=0.05), row("FAILED", 5.0)], "image") is None
    assert rate([running], "image") == pytest.approx(0.1)
    assert rate(
        [running, row("SUCCEEDED", 10.0, pixels=1_000), row("SUCCEEDED", 80.0, pixels=2_000, earlier_eecu_s=30.0)], "image"
    ) == pytest.approx(0.02)
    assert rate([running], "labels") is None


def test_the_first_task_of_each_layer_goes_alone() -> None:
    assert may_submit([], 1.0, "image", 1_000) is Verdict.SUBMIT
    assert may_submit([row("PENDING")], 1.0, "image", 1_000) is Verdict.WAIT
    assert may_submit([row("PENDING")], 1.0, "labels", 1_000) is Verdict.SUBMIT
    known = row("SUCCEEDED", 36.0, layer="labels")
    assert may_submit([row("PENDING"), known], 1.0, "labels", 1_000) is Verdict.WAIT  # what the image needs is unknown
    assert may_submit([row("RUNNING", 360.0, progress=0.5)], 1.0, "image", 1_000) is Verdict.SUBMIT


def test_a_limit_counts_what_running_tasks_still_need() -> None:
    done = [row("SUCCEEDED", 360.0)]  # 0.1 hours a task
    assert may_submit(done, 0.2, "image", 1_000) is Verdict.SUBMIT
    assert may_submit(done, 0.19, "image", 1_000) is Verdict.STOP
    active = [*done, row("RUNNING", 100.0), row("PENDING")]
    assert may_submit(active, 0.41, "image", 1_000) is Verdict.SUBMIT
    assert may_submit(active, 0.39, "image", 1_000) is Verdict.WAIT  # they may turn out cheaper
    assert may_submit(active, 0.39, "image", 900) is Verdict.SUBMIT
    assert may_submit([*done, row("RUNNING", 900.0)], 0.5, "image", 1_000) is Verdict.SUBMIT  # costlier than foreseen: counted as it is
    assert may_submit([*done, row("RUNNING", 900.0)], 0.35, "image", 1_000) is Verdict.STOP
    again = [*done, row("RUNNING", 360.0, earlier_eecu_s=360.0)]  # its first attempt failed near the end
    assert [may_submit(again, limit, "image", 1_000) for limit in (0.41, 0.39)] == [Verdict.SUBMIT, Verdict.WAIT]
    assert may_submit([row("ODD", 100.0), *done], 0.25, "image", 1_000) is Verdict.WAIT  # an unknown state is active


@given(ROWS, st.integers(1, 10_000), st.integers(0, 10_000), st.integers(1, 4_096))
def test_a_higher_limit_never_refuses_what_a_lower_one_allows(rows: list[Row], limit: int, more: int, pixels: int) -> None:
    order = [Verdict.STOP, Verdict.WAIT, Verdict.SUBMIT]
    low, high = (may_submit(rows, limit_s / 3_600, "image", pixels) for limit_s in (limit, limit + more))
    assert order.index(low) <= order.index(high)
    if Verdict.WAIT in (low, high):  # else an export would wait for ever
        assert any(is_active(one.state) for one in rows)


@given(ROWS, st.integers(1, 10_000), st.integers(1, 4_096))
def test_the_rule_has_no_unit(rows: list[Row], limit: int, pixels: int) -> None:
    """Twice the cost under twice the limit, or twice the pixels at the same cost, is the same decision."""
    found = may_submit(rows, limit / 3_600, "image", pixels)
    dear = [replace(one, eecu_s=None if one.eecu_s is None else 2 * one.eecu_s, earlier_eecu_s=2 * one.earlier_eecu_s) for one in rows]
    assert may_submit(dear, 2 * (limit / 3_600), "image", pixels) is found
    assert may_submit([replace(one, pixels=2 * one.pixels) for one in rows], limit / 3_600, "image", 2 * pixels) is found
    assert spent(dear) == 2 * spent(rows)


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf")])
def test_a_limit_is_a_positive_number(limit: float) -> None:
    with pytest.raises(ConfigError, match="give a number of EECU-hours above 0"):
        check_limit([], limit)


def test_a_limit_below_what_is_spent_names_both_numbers() -> None:
    rows = [row("SUCCEEDED", 12.4 * 3_600)]
    check_limit(rows, 12.5)
    with pytest.raises(
        ConfigError, match=re.escape("--max-eecu-hours 5: this export has used 12.4 EECU-hours already; give a higher limit")
    ):
        check_limit(rows, 5)


def test_a_stopped_export_names_what_is_left() -> None:
    rows = [row("SUCCEEDED", 360.0), row("UNSUBMITTED"), row("UNSUBMITTED")]
    assert "0.1000 EECU-hours are spent" in cost.limit_text(rows, 0.15)
    assert "2 tasks are not submitted" in cost.limit_text(rows, 0.15)
    assert "1 task is not submitted" in cost.limit_text(rows[:2], 0.15)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", fullmatch=True))
def test_the_client_accepts_the_tag_of_every_study(name: str) -> None:
    tag = workload_tag(name)
    ee.data.setDefaultWorkloadTag(tag)  # raises where it has another form
    assert ee.data.getWorkloadTag() == tag
    assert f"cropcam-{name.lower()}".startswith(tag)
    ee.data.resetWorkloadTag(True)


def test_a_tag_has_63_characters_at_most() -> None:
    assert workload_tag("Demo_1") == "cropcam-demo_1"
    assert workload_tag("a" * 54 + "-b") == "cropcam-" + "a" * 54
