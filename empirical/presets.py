"""Configurations by name: what differs from the defaults of `empirical.config`.

Sizes of ``vit-b32`` and ``vit-b16``, and their optimiser, are OpenAI's [1]_; ``liang``, ``yaras`` and ``fahim`` are the
protocols of the papers on the gap as far as they are published, with data that is always at hand: for theirs, name
another source, ``--set data.kind=coco``.

References
----------
.. [1] A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
"""

from typing import Any

__all__ = ["PRESETS"]

_OPENAI = "openai/clip-vit-base-patch32"


def _vit_base(patch: int) -> dict[str, Any]:
    return {
        "kind": "clip",
        "dim": 512,
        "patch": patch,
        "image_width": 768,
        "image_layers": 12,
        "image_heads": 12,
        "text_width": 512,
        "text_layers": 12,
        "text_heads": 8,
        "tokens": _OPENAI,
        "length": 77,
    }


_SMALL_SCENES: dict[str, Any] = {"kind": "scenes", "options": {"n": 20_000, "size": 32}, "held_out": 512}

PRESETS: dict[str, dict[str, Any]] = {
    "digits": {  # a minute on two cores
        "steps": 300,
        "log_every": 20,
        "checkpoint_every": 100,
        "data": {"kind": "digits", "options": {"size": 16}},
        "model": {"dim": 32, "patch": 4, "length": 12},
        "optimiser": {"rate": 1e-3, "warmup": 20, "decay": 0.1},
    },
    "scenes-tiny": {  # ten minutes on two cores
        "steps": 1500,
        "log_every": 50,
        "checkpoint_every": 250,
        "data": _SMALL_SCENES,
        "model": {"dim": 64, "patch": 8, "image_width": 96, "image_layers": 3, "image_heads": 3, "length": 24},
        "optimiser": {"rate": 1e-3, "warmup": 100, "decay": 0.1, "clip": 1.0},
    },
    "vit-s8-scenes": {  # ViT-S/8 at 64 pixels, for one GPU
        "steps": 20_000,
        "batch": 2048,
        "precision": "bfloat16",
        "log_every": 250,
        "checkpoint_every": 1000,
        "data": {"kind": "scenes", "options": {"n": 1_000_000, "size": 64}, "held_out": 2048, "workers": 8},
        "model": {
            "dim": 256,
            "patch": 8,
            "image_width": 384,
            "image_layers": 12,
            "image_heads": 6,
            "text_width": 256,
            "text_layers": 6,
            "text_heads": 4,
            "length": 32,
        },
        "optimiser": {"rate": 5e-4, "warmup": 1000, "clip": 1.0},
    },
    "liang": {  # Sec. 4.4: Adam with coupled decay, no schedule, τ from 1/100; --set model.initialisation=amended
        "steps": 1000,
        "batch": 64,
        "log_every": 50,
        "data": _SMALL_SCENES,
        "model": {"dim": 64, "patch": 8, "length": 24},
        "temperature": {"start": 0.01},
        "optimiser": {"kind": "adam", "rate": 1e-4, "schedule": "constant", "decay": 0.2, "decay_all": True},
    },
    "yaras": {  # ResNet and text from scratch, cosine with a fifth of the steps as warm-up
        "steps": 2000,
        "batch": 256,
        "log_every": 50,
        "data": _SMALL_SCENES,
        "model": {"kind": "resnet", "dim": 128, "depths": [1, 1, 1, 1], "widths": [32, 64, 128, 256], "length": 24},
        "temperature": {"start": 0.01, "law": "S0"},
        "optimiser": {"rate": 5e-4, "warmup": 400},
    },
    "fahim": {  # the idealised experiment: two encoders of the same images, amended so that their cones coincide
        "steps": 2000,
        "batch": 64,
        "log_every": 50,
        "data": _SMALL_SCENES,
        "model": {"kind": "image_image", "dim": 64, "patch": 8, "initialisation": "amended"},
        "temperature": {"law": "fixed", "start": 0.01},
        "optimiser": {"rate": 1e-4, "betas": [0.9, 0.99], "schedule": "constant", "decay": 0.1},
    },
    **{
        f"vit-b{patch}": {
            "steps": 400_000,
            "batch": 32_768,
            "microbatch": 1024,
            "precision": "bfloat16",
            "log_every": 1000,
            "checkpoint_every": 1000,
            "data": {"kind": "scenes", "options": {"n": 1_000_000, "size": 224}, "held_out": 4096, "workers": 16},
            "model": {**_vit_base(patch), "gradient_checkpointing": True},
            "optimiser": {"rate": 5e-4, "warmup": 2000, "betas": [0.9, 0.98], "epsilon": 1e-6, "decay": 0.2},
        }
        for patch in (32, 16)
    },
}
"""Tables for `empirical.config.config_from`, by name."""
