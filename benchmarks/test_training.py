"""Steps of training: our engine against a plain loop over transformers' CLIP, with the same sizes, batch and precision.

`naive` is the loop that a user writes: a DataLoader, transformers' tokenizer, ``CLIPModel(..., return_loss=True)``,
AdamW. Its images are rendered beforehand; ours are read or rendered as they are in a run. The seconds are those on the
wall, of the steps: measurements, checkpoints and the building of the model are left out of both. Rows on a GPU also say
which part of its time at `PEAK` the floating-point operations of the model would take.
"""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from benchmarks.replay import REPLAYED, replay
from empirical.config import TrainConfig, load_config

torch = pytest.importorskip("torch", reason="the rows are torch's: pip install 'conetheory[empirical]'")
pytest.importorskip("transformers", reason="the towers are those of transformers: pip install 'conetheory[empirical]'")

METHODS = ("ours", "naive")
ROUNDS = 7
SPECIAL = ("[PAD]", "[BOS]", "[UNK]", "[EOS]")
PEAK = {"H100": 989e12, "H200": 989e12}  # dense bfloat16 operations a second of SXM cards, by their data sheets
CASES = {
    "digits": ("cpu", ["steps=8", "data.workers=0"]),
    "scenes-tiny": ("cpu", ["steps=4", "data.workers=0", "data.options.n=4096"]),
    "vit-s8-scenes": ("cuda", ["steps=60", "batch=1024", "data.workers=16", "data.options.n=200000"]),
    "vit-b32": (
        "cuda",
        [
            *("steps=40", "batch=1024", "microbatch=0", "model.gradient_checkpointing=false", "model.tokens=words"),
            *("data.workers=16", "data.options.n=100000"),
        ],
    ),
}


def config_of(case: str) -> TrainConfig:
    device, changes = CASES[case]
    alike = ("log_every=100000", "checkpoint_every=100000", "optimiser.warmup=0", "optimiser.clip=0")
    return load_config(case, [*changes, *alike, f"device={device}", f"threads={int(device == 'cpu')}"])


class Loop:
    """The plain loop, with the pairs of a configuration in memory."""

    def __init__(self, config: TrainConfig) -> None:
        from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

        from empirical.model import DEVIATION, MEAN
        from empirical.run_pairs import open_pairs

        source, rows, _ = open_pairs(config)
        rows = rows[: config.batch * config.steps]
        self.pairs = source.batch(rows, among=rows)
        self.config, size, model = config, self.pairs.images.shape[-1], config.model
        self.mean, self.deviation = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, DEVIATION))
        self.tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=word_tokenizer(self.pairs.captions), pad_token=SPECIAL[0], model_max_length=model.length
        )
        text = {"hidden_size": model.text_width, "num_hidden_layers": model.text_layers}
        text |= {"num_attention_heads": model.text_heads, "intermediate_size": 4 * model.text_width}
        text |= {"vocab_size": len(self.tokenizer), "max_position_embeddings": model.length}
        text |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 3}
        vision = {"hidden_size": model.image_width, "num_hidden_layers": model.image_layers}
        vision |= {"num_attention_heads": model.image_heads, "intermediate_size": 4 * model.image_width}
        vision |= {"image_size": size, "patch_size": model.patch}
        torch.manual_seed(config.seed)
        towers = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=model.dim))
        self.model = towers.to(config.device)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=config.optimiser.rate)

    def collate(self, items: list[tuple[Any, str]]) -> dict[str, Any]:
        images, captions = zip(*items, strict=True)
        pixels = torch.stack([torch.from_numpy(image) for image in images]).float() / 255
        words = self.tokenizer(list(captions), padding="max_length", truncation=True, return_tensors="pt")
        found = {"pixel_values": (pixels - self.mean) / self.deviation}
        return found | {name: words[name] for name in ("input_ids", "attention_mask")}

    def run(self) -> tuple[float, float]:
        """Take all steps; return seconds and the last loss."""
        config, device = self.config, self.config.device
        loader = torch.utils.data.DataLoader(
            list(zip(self.pairs.images, self.pairs.captions, strict=True)),
            batch_size=config.batch,
            shuffle=True,
            drop_last=True,
            collate_fn=self.collate,
            num_workers=config.data.workers,
        )
        self.model.train()
        batches = iter(loader)
        first = next(batches)  # workers of the loader start before the clock does
        since = time.perf_counter()
        for batch in chain([first], batches):
            batch = {name: values.to(device) for name, values in batch.items()}
            with torch.autocast(device, torch.bfloat16, enabled=config.precision == "bfloat16"):
                loss = self.model(**batch, return_loss=True).loss
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            last = loss.item()
        return time.perf_counter() - since, last


def word_tokenizer(captions: list[str]) -> Any:
    """Return words separated by blanks as tokens, framed as CLIP frames them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = sorted({word for caption in captions for word in caption.lower().split()})
    ids = {word: place for place, word in enumerate([*SPECIAL, *words])}
    found = Tokenizer(models.WordLevel(ids, unk_token=SPECIAL[2]))
    found.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    found.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL[1]} $A {SPECIAL[3]}", special_tokens=[(SPECIAL[1], 1), (SPECIAL[3], 3)]
    )
    return found


def engine(config: TrainConfig, folder: Path) -> tuple[float, float]:
    """Run the engine; return seconds and the last loss."""
    from empirical.train import train

    found = train(config, folder)
    return found.seconds, found.metrics["train_loss"]


def step_operations(loop: Loop) -> int:
    """Return the floating-point operations of one step of the model, forward and backward."""
    from torch.utils.flop_counter import FlopCounterMode

    images, captions = loop.pairs.images[: loop.config.batch], loop.pairs.captions[: loop.config.batch]
    batch = loop.collate(list(zip(images, captions, strict=True)))
    with FlopCounterMode(display=False) as counter:
        loop.model(
            **{name: values.to(loop.config.device) for name, values in batch.items()}, return_loss=True
        ).loss.backward()
    return counter.get_total_flops()


@cache
def measured(case: str, scratch: Path) -> dict[str, Any]:
    """Return the seconds of the steps of both, in turn, after a warm-up of each; and the operations of a step."""
    config = config_of(case)
    loop = Loop(config)
    if config.device == "cpu":
        torch.set_num_threads(config.threads)
    routes: dict[str, Callable[[int], tuple[float, float]]] = {
        "ours": lambda k: engine(replace(config, seed=k), scratch / f"{case}-{k}"),
        "naive": lambda _: loop.run(),
    }
    found: dict[str, Any] = {method: [] for method in METHODS}
    for k in range(ROUNDS + 1):
        for method in METHODS:
            seconds, loss = routes[method](k)
            assert 0 < loss < 2 * math.log(config.batch)
            if k:
                found[method].append(seconds)
    return found | {"operations": step_operations(loop) if config.device == "cuda" else None}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@REPLAYED
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", CASES)
def test_training(benchmark, case, method, scratch):
    config = config_of(case)
    if config.device == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    rows, images = measured(case, scratch), config.steps * config.batch
    benchmark.group = f"training, {case} on {config.device}"
    replay(benchmark, rows[method])
    benchmark.extra_info |= {"unit": "image", "work": images}
    card = torch.cuda.get_device_name() if config.device == "cuda" else ""
    for peak in (rate for name, rate in PEAK.items() if name in card):
        seconds = statistics.median(rows[method])
        benchmark.extra_info["utilisation"] = rows["operations"] * config.steps / (seconds * peak)
