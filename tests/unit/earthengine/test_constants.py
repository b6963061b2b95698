"""Limits of the service, as its documents have them."""

from __future__ import annotations

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.pipeline.earthengine",
    {
        "plan.TILE_PX": 256,
        "plan.CELL_PX": 8192,
        "plan.FILE_BYTES_LIMIT": 17_179_869_184,
        "plan.FILE_SIDE_LIMIT_PX": 131_072,
        "plan.BANDS_LIMIT": 1024,
        "plan.QUEUE_LIMIT": 3000,
        "plan.PRIORITY_LIMITS": (0, 9999),
        "plan.PRIORITY": 100,
        "plan.DESCRIPTION_LENGTH": 100,
        "pixel_requests.REQUEST_BYTES_LIMIT": 48_000_000,
        "pixel_requests.COMPUTED_BYTES_LIMIT": 83_886_080,
        "pixel_requests.SIDE_LIMIT_PX": 32_768,
        "scenes.MAX_RAW": 4096,
        "export_run.WAITING_LIMIT": 1000,
        "export_run.RETRIES": 2,
        "delivery.WORKERS": 40,
        "transport.READ_S": 330.0,
        "nearby.MARGIN_M": 10_000.0,
        "cost.HOUR_S": 3_600.0,
        "slow_tasks.PATIENCE_S": 3_600.0,
        "error_messages.TRANSIENT_STATUS": {408, 429, 500, 502, 503, 504},
    },
)
