"""Training two towers, from a configuration to a run folder: read from the top.

A run repeats itself: its weights come from the seed, its batches from the seed and the epoch, its swaps and dropout
from the seed and the step. So a run that was killed at any moment and goes on from its last checkpoint ends, on a
processor, with the same bits as one that was not; on a GPU, whose sums have no fixed order, with the same distribution.
"""

import math
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from .checkpoints import checkpoint_step, pack, read_tensors, restore
from .config import TrainConfig
from .data.loader import batches
from .data.pairs import PairBatch
from .distributed import World, average_gradients, with_common_statistics
from .gradient_cache import cached_step
from .held_out import held_out_metrics
from .initialisation import FrozenRotation, amending_rotation
from .model import Inputs, TwoTowers, build_model
from .objective import Objective
from .optimiser import gradient_norms, learning_rate, make_optimiser, set_learning_rate
from .processes import processes_and_device, torch_threads
from .run_folder import RunFolder, environment, last_checkpoint
from .run_pairs import open_pairs, tokens_of
from .run_report import StepReport, TrainingError, TrainResult, ends_clearly
from .tensorboard import events
from .tokens import Tokens

__all__ = ["StepReport", "TrainResult", "TrainingError", "train"]

_AMENDED_PAIRS = 2048
_AMENDING = 0x616D  # purpose of the random numbers that choose them

Rows = Float[torch.Tensor, "n d"]


def train(
    config: TrainConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
) -> TrainResult:
    """Train two towers; under ``torchrun`` each process takes its share of every batch.

    Parameters
    ----------
    config : TrainConfig
        See `empirical.config.load_config`.
    folder : str or Path
        Of the run; made where it is missing.
    resume : bool
        Go on from the last checkpoint in the folder.
    on_step : callable, optional
        Called in the first process at the start and, on a processor, after every step; on a GPU, which runs ahead, when
        something is measured. What it raises ends the run.

    Returns
    -------
    TrainResult
        Metrics, and what repeats, in the first process alone.

    Raises
    ------
    ValueError
        If the configuration does not fit the data or the machine, or the folder holds another run.
    TrainingError
        If the loss is not finite, something cannot be read or written, or another process was lost.
    """
    with ExitStack() as stack:
        stack.enter_context(torch_threads(config.threads))
        processes, device = stack.enter_context(processes_and_device(config.device))
        stack.enter_context(torch.random.fork_rng(devices=[device] if device.type == "cuda" else []))
        run = _Run(config, processes, device)
        run.folder = _opened(run, Path(folder), resume, stack)
        run.start(last_checkpoint(Path(folder)))
        with ends_clearly(run):
            return run.finish(Path(folder)) if run.step == config.steps else run.go_on(Path(folder), on_step)


def _opened(run: "_Run", path: Path, resume: bool, stack: ExitStack) -> RunFolder | None:
    """Return the folder in the first process, to be closed by `stack`; in the others nothing, once it is in order."""
    folder, refused = None, None
    if run.processes.rank == 0:
        try:
            folder = RunFolder(path, run.config.as_dict(), resume=resume, keep=run.config.keep)
            stack.callback(folder.close)
        except (ValueError, OSError) as error:
            refused = error
    with ends_clearly(run):
        others = run.processes.sum(torch.tensor([float(refused is not None)], device=run.device))
    if refused:
        raise refused
    if others:
        raise ValueError(f"`folder` {path} is refused by the first process, which says why.")
    return folder


def _dropout_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of a step's dropout, which only a published checkpoint has: no two processes share masks."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])


class _Run:
    """What a run holds: `step` steps are done, and the last checkpoint is of step `saved`."""

    folder: RunFolder | None = None  # in the first process alone

    def __init__(self, config: TrainConfig, processes: World, device: torch.device) -> None:
        self.config, self.processes, self.device = config, processes, device
        self.source, self.rows, held_out = open_pairs(config)
        self.epoch_steps = len(self.rows) // config.batch
        if not self.epoch_steps or config.batch % processes.size:
            bounds = f"a multiple of the {processes.size} processes and at most the {len(self.rows)} pairs"
            raise ValueError(f"`batch` must be {bounds}, got {config.batch}.")
        self.tokens: Tokens = tokens_of(config, self.source, self.rows)
        self.held_out = self.source.batch(held_out, among=held_out)
        size = self.held_out.images.shape[-1]
        self.model: TwoTowers = build_model(config.model, image_size=size, tokens=self.tokens, seed=config.seed)
        self.objective = Objective(config.loss, config.temperature, steps=config.steps, seed=config.seed)
        self.step = self.saved = 0
        self.repeats = "distribution"
        self.seconds, self.resumed_from, self.measured = 0.0, 0, {}

    def start(self, checkpoint: Path | None) -> None:
        """Put everything on the device, in the state of the checkpoint or of step 0."""
        config = self.config
        self.model = with_common_statistics(self.model.to(self.device), self.processes, self.device)
        self.objective.to(self.device)
        if config.model.initialisation == "amended":
            rotation = self._amending_rotation() if checkpoint is None else torch.eye(self.model.dim)
            self.model.rotation = FrozenRotation(rotation).to(self.device)
        rate = config.temperature.rate
        self.optimiser = make_optimiser(self.model, self.objective, config.optimiser, temperature_rate=rate)
        if checkpoint is not None:
            restore(read_tensors(checkpoint), self._modules(), self.optimiser)
            self.step = self.saved = self.resumed_from = checkpoint_step(checkpoint)
        steps = self.processes.gather(torch.tensor([self.step], device=self.device)).tolist()
        if min(steps) < max(steps):
            raise ValueError(f"`folder` must be one that every process sees; they found the steps {steps} in it.")
        if self.folder:
            device = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
            self.folder.started(environment(device, torch.get_num_threads(), self.processes.size))
            self.folder.write_once("tokens.json", self.tokens.describe())
            self.folder.write_once("pairs.json", self.source.describe())
            self.repeats = self.folder.repeats()
            self.measured = self.folder.last_metrics()

    def go_on(self, folder: Path, on_step: Callable[[StepReport], None] | None) -> TrainResult:
        """Train from `step` to the end."""
        config = self.config
        with (
            events(folder, self.step, asked=config.tensorboard and self.processes.rank == 0) as tracker,
            closing(self._batches()) as stream,
        ):  # type: ignore[type-var]
            if not self.step:
                self._measure(tracker, {})
            self._report(on_step, math.nan)
            self.model.train()
            since = time.perf_counter()
            for batch in stream:
                rate = learning_rate(self.step, config.steps, config.optimiser)
                loss, norms = self._update(self._inputs(batch), rate)
                self.step += 1
                log, save = (
                    self.step % every == 0 or self.step == config.steps
                    for every in (config.log_every, config.checkpoint_every)
                )
                if not (log or save or self.device.type == "cpu"):
                    continue
                values = {"train_loss": loss.item(), **{name: norm.item() for name, norm in norms.items()}}
                if not math.isfinite(values["train_loss"] + values["gradient_norm"]):
                    raise ArithmeticError("the loss or its gradient is not finite")
                self.seconds += time.perf_counter() - since
                if log:
                    self._measure(tracker, {**values, "learning_rate": rate})
                if save:
                    self._save()
                self._report(on_step, values["train_loss"])
                since = time.perf_counter()
        return self.finish(folder)

    def finish(self, folder: Path) -> TrainResult:
        """Write the embeddings of the held-out pairs and the result."""
        if self.folder:
            self.measured = self.folder.last_metrics()
            self.folder.save_embeddings(self.step, torch.stack(self._embeddings(self.held_out)).cpu().numpy())
            self.folder.write("result.json", {"steps": self.step, "repeats": self.repeats, "metrics": self.measured})
        return TrainResult(
            folder=folder,
            steps=self.step,
            resumed_from=self.resumed_from,
            metrics=self.measured,
            seconds=self.seconds,
            images_per_second=self._speed,
            repeats=self.repeats,
        )

    def _batches(self) -> Generator[PairBatch, None, None]:
        """Yield this process's part of every batch that is left, epoch after epoch."""
        config, position = self.config, self.step
        shares = {"rank": self.processes.rank, "world": self.processes.size}
        options = {"workers": config.data.workers, "kind": config.data.loader, **shares}
        while True:
            epoch, start = divmod(position, self.epoch_steps)
            found = batches(self.source, self.rows, config.batch, config.seed, epoch, start=start, **options)
            with closing(found) as read:  # type: ignore[type-var]
                for batch in read:
                    yield batch
                    position += 1
                    if position == config.steps:
                        return

    def _update(self, inputs: Inputs, rate: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Take one step; return its loss and the norms of its gradient before clipping."""
        config = self.config
        set_learning_rate(self.optimiser, rate)
        torch.manual_seed(_dropout_seed(config.seed, self.step, self.processes.rank))
        self.optimiser.zero_grad()
        if config.microbatch:
            loss = cached_step(self._encode, inputs.split(config.microbatch), self._loss)
        else:
            loss = self._loss(*self._encode(inputs))
            loss.backward()
        parameters = [*self.model.parameters(), *self.objective.parameters()]
        average_gradients(parameters, self.processes)
        norms = gradient_norms(self.model, self.objective)
        if config.optimiser.clip:
            torch.nn.utils.clip_grads_with_norm_(parameters, config.optimiser.clip, norms["gradient_norm"])
        self.optimiser.step()
        self.objective.temperature.project_()
        return loss.detach(), norms

    def _encode(self, inputs: Inputs) -> tuple[Rows, Rows]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            return self.model(inputs)

    def _loss(self, x: Rows, y: Rows) -> Float[torch.Tensor, ""]:
        return self.objective(x, y, self.step, self.processes)

    def _inputs(self, batch: PairBatch) -> Inputs:
        """Return a batch on the device, which need not wait for it."""
        tokens = self.tokens.encode(batch.captions)
        arrays = (torch.from_numpy(np.ascontiguousarray(each)) for each in (batch.images, tokens.ids, tokens.mask))
        if self.device.type == "cuda":
            arrays = (each.pin_memory().to(self.device, non_blocking=True) for each in arrays)
        images, ids, mask = arrays
        return Inputs(images=images, ids=ids, mask=mask)

    @torch.no_grad()
    def _embeddings(self, batch: PairBatch) -> tuple[Rows, Rows]:
        """Return the embeddings of pairs that are not trained on now, in float32."""
        was_training = self.model.training
        self.model.eval()
        size = self.config.microbatch or self.config.batch // self.processes.size
        found = [self._encode(part) for part in self._inputs(batch).split(size)]
        self.model.train(was_training)
        x, y = (torch.cat(rows).float() for rows in zip(*found, strict=True))
        return x, y

    def _amending_rotation(self) -> Float[torch.Tensor, "d d"]:
        """Return the rotation that closes the gap of a sample of the training pairs; the first process's, in all."""
        rng = np.random.default_rng([self.config.seed, 0, _AMENDING])
        rows = rng.choice(self.rows, min(_AMENDED_PAIRS, len(self.rows)), replace=False)
        pairs = self._embeddings(self.source.batch(np.sort(rows), among=self.rows))
        found = amending_rotation(*pairs, translation=self.config.model.translation)
        return self.processes.sum(found if self.processes.rank == 0 else torch.zeros_like(found))

    def _measure(self, tracker: Any, values: dict[str, float]) -> None:
        """Log the held-out pairs, in the first process: the others meet it at the next step."""
        if self.folder:
            x, y = self._embeddings(self.held_out)
            if not self.step:
                self.folder.save_embeddings(0, torch.stack([x, y]).cpu().numpy())
            scale = self.objective.temperature.scale(self.step, self.config.steps).detach()
            place = {"step": self.step, "epoch": self.step / self.epoch_steps, "skipped": self.source.skipped}
            speed = {"images_per_second": self._speed, "seconds": self.seconds}
            self.measured = {**place, **values, **held_out_metrics(x, y, scale), **speed}
            self.folder.log(self.measured)
            tracker(self.measured)

    def _save(self) -> None:
        """Write a checkpoint, unless the last step made weights that cannot be used."""
        if not bool(torch.nn.utils.get_total_norm(self.model.parameters()).isfinite()):
            raise ArithmeticError("the norm of the weights is not finite")
        if self.folder:
            self.folder.save(self.step, pack(self._modules(), self.optimiser))
        self.saved = self.step

    def _report(self, on_step: Callable[[StepReport], None] | None, loss: float) -> None:
        if on_step and self.folder:
            tau, gap = (self.measured.get(name, math.nan) for name in ("tau", "gap_norm"))
            place = {"step": self.step, "steps": self.config.steps}
            on_step(StepReport(**place, loss=loss, tau=tau, gap=gap, images_per_second=self._speed))

    def _modules(self) -> dict[str, torch.nn.Module]:
        return {"model": self.model, "objective": self.objective}

    @property
    def _speed(self) -> float:
        steps = self.step - self.resumed_from
        return steps * self.config.batch / self.seconds if self.seconds else 0.0
