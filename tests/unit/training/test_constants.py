"""The values of this package's constants."""

from __future__ import annotations

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.model.training",
    {
        "splits.MIN_STEPS": 1000,
        "splits.MOST_PASSES": 80,
        "splits.FEWEST_STEPS": 300,
        "splits.ADAPTED_STEPS": 150,
        "splits.FEW_BAGS": 4,
        "splits.FEW_LABELS": 20,
        "optimizers._MOMENTUM": 0.9,
        "optimizers._DROPS": (0.5, 0.75),
        "optimizers._DROP": 0.1,
        "data_summary.INFORMATIVE": (0.03, 0.97),
        "presets._OF_NETWORK": {
            name: {"lr": lr, "weight_decay": 0.01, "schedule": "cosine", "warmup_epochs": 1.0, "channels_last": True}
            for name, lr in (("fcn", 0.01), ("fcn-time", 0.01), ("unet", 0.002))
        },
        "presets._OF_LABELS": {
            "any pixel": {"lr": 0.003, "weight_decay": 0.1, "class_weights": "balanced"},
            "presence": {"pseudo_label_weight": 1.0},
            "points": {"lr": 0.003, "weight_decay": 0.1},
        },
        "presets._OF_FEW": {"lr": 0.003, "weight_decay": 0.1},
        "presets._ADAPTED": {"lr": 0.001, "weight_decay": 0.01, "freeze": "statistics"},
    },
)
