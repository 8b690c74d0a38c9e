"""`thaw doctor`: would this recipe train here? Versions, disk, parameters, and one real step of every phase."""

import gc
import platform
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from itertools import groupby
from pathlib import Path

import torch
from rich.table import Table
from rich.text import Text
from torch import nn

from components.core.contrastive.values import ENCODER
from components.core.engine.announce import count_parameters
from components.core.engine.cache import FeatureCache
from components.core.engine.device import Device
from components.core.engine.layers import Layers
from components.core.engine.phase import Phase
from components.core.tracking.overview import show_bytes
from pipelines import peak
from pipelines.rehearsal import Rehearsal, shorten

PACKAGES = ("thaw", "torch", "torchvision", "timm", "open_clip_torch", "segment-anything", "onnxruntime", "kfp", "dvc")
CASES_ON_CPU, CASES = 1, 16
"""Training cases to step on: a step on a CPU is there to be survived, one on a GPU to be measured."""


@dataclass(frozen=True)
class PartRow:
    """Neighbouring parts of one family that every phase treats alike.

    Attributes:
        name: `vision.blocks.10-11`, for example.
        parameters: Their number.
        rates: Learning rate by phase; phases that freeze them are absent.
    """

    name: str
    parameters: int
    rates: Mapping[str, float]


@dataclass(frozen=True)
class StepReport:
    """One optimiser step of a phase.

    Attributes:
        samples: In its batch.
        trainable: Parameters that train.
        fill_seconds: For evaluating what is frozen, once per sample of the rehearsal.
        step_seconds: For the step itself, with frozen features read from the cache.
        loss: Mean over the samples.
        peak_bytes: Memory of the device, or of the process on a CPU, model included.
    """

    phase: str
    samples: int
    trainable: int
    fill_seconds: float
    step_seconds: float
    loss: float
    peak_bytes: int


def machine_table(device: Device, cache: Path) -> Table:
    """Versions, device and disk."""
    table = Table(title="this machine", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _machine(device, cache):
        table.add_row(name, Text(value))
    return table


def _machine(device: Device, cache: Path) -> Iterator[tuple[str, str]]:
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    installed = [(name, _version(name)) for name in PACKAGES]
    yield "packages", ", ".join(f"{name} {version}" for name, version in installed)
    fingerprint = device.fingerprint()
    yield "device", f"{fingerprint['device']}, {fingerprint['precision']}, {fingerprint['threads']} threads"
    if device.device.type == "cuda":
        yield "memory", show_bytes(torch.cuda.get_device_properties(device.device).total_memory)
    folder = next(parent for parent in (cache.absolute(), *cache.absolute().parents) if parent.exists())
    yield "disk", f"{show_bytes(shutil.disk_usage(folder).free)} free where the cache goes ({cache})"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def part_rows(rehearsal: Rehearsal) -> list[PartRow]:
    """Parameters by part from head to stem, and what every phase does with them."""
    model = rehearsal.task.build_model(rehearsal.seed)
    layers = Layers.of(rehearsal.task, model)
    counts = count_parameters(model, layers.owned)
    rates = {
        name: _encoder_rates(rehearsal, model, layers.owned, phase)
        if name in rehearsal.subjects
        else layers.rates(phase)
        for name, phase in rehearsal.phases.items()
    }
    rows = [
        PartRow(part, counts.get(part, 0), {name: found[part] for name, found in rates.items() if part in found})
        for part in layers.parts
    ]
    return [_join(list(alike)) for _, alike in groupby(rows, key=lambda row: (_family(row.name), dict(row.rates)))]


def _encoder_rates(rehearsal: Rehearsal, model: nn.Module, owned: Mapping[str, str], phase: Phase) -> dict[str, float]:
    """Learning rate by part that holds the encoder's parameters, for a phase that trains the encoder alone."""
    encoder = rehearsal.task.encoder(model)
    held = {id(parameter) for parameter in encoder.module.parameters()} if encoder is not None else set()
    rate = phase.trainable[ENCODER]
    return {owned[name]: rate for name, parameter in model.named_parameters() if id(parameter) in held}


def _family(part: str) -> str:
    """The part's name without its own number."""
    return re.sub(r"\.\d+$", "", part)


def _join(rows: list[PartRow]) -> PartRow:
    family = _family(rows[0].name)
    numbers = sorted(int(row.name.removeprefix(f"{family}.")) for row in rows) if len(rows) > 1 else []
    name = f"{family}.{numbers[0]}-{numbers[-1]}" if numbers else rows[0].name
    return PartRow(name, sum(row.parameters for row in rows), rows[0].rates)


def parameter_table(rows: list[PartRow], phases: Mapping[str, Phase]) -> Table:
    """Parameters by part, and the learning rate at which each phase trains them."""
    table = Table(title="parameters, and learning rates by phase", title_justify="left", show_footer=True)
    table.add_column("part", "trainable")
    table.add_column("parameters", f"{show_count(sum(row.parameters for row in rows))} in all", justify="right")
    for name in phases:
        trainable = sum(row.parameters for row in rows if name in row.rates)
        table.add_column(name, show_count(trainable), justify="right")
    for row in rows:
        rates = [f"{row.rates[name]:.0e}" if name in row.rates else "" for name in phases]
        table.add_row(row.name, show_count(row.parameters), *rates)
    return table


def show_count(parameters: int) -> str:
    """Parameters in millions where there are that many: `14.2 M`, `58,113`."""
    return f"{parameters / 1e6:.1f} M" if parameters >= 10**6 else f"{parameters:,}"


def try_step(rehearsal: Rehearsal, name: str) -> StepReport:
    """Run one optimiser step of a phase: the engine's own, with its cache, losses and optimiser.

    Raises:
        ThawError: The step fails: not finite, out of memory.
    """
    phase = rehearsal.phases[name]
    gc.collect()  # of the phase before: its model must not count here
    device = Device(rehearsal.runtime).device
    peak.start(device)
    size = min(phase.batch_size, rehearsal.samples_of(name))
    run = rehearsal.run(name, shorten(phase, batch_size=size).model_copy(update={"views": min(phase.views, 1)}))
    began = time.monotonic()
    features = run.frozen("train", FeatureCache(rehearsal.runtime.cache))
    filled = time.monotonic()
    done = next(run.steps(run.stepper(features), features))
    ended = time.monotonic()
    trainable = sum(parameter.numel() for parameter in run.model.parameters() if parameter.requires_grad)
    loss = sum(done.terms.values()) / size
    return StepReport(name, size, trainable, filled - began, ended - filled, loss, peak.read(device))


def step_table(reports: list[StepReport]) -> Table:
    """One row per phase."""
    table = Table(title="one optimiser step of every phase, on synthetic samples", title_justify="left")
    table.caption = "features: evaluating what is frozen, once. memory: greatest in use, model included."
    table.caption_justify = "left"
    table.add_column("phase", no_wrap=True)
    for name in ("samples", "trains", "features", "step", "loss", "memory"):
        table.add_column(name, justify="right")
    for one in reports:
        table.add_row(
            one.phase,
            str(one.samples),
            show_count(one.trainable),
            f"{one.fill_seconds:.2f} s",
            f"{one.step_seconds:.2f} s",
            f"{one.loss:.4f}",
            show_bytes(one.peak_bytes),
        )
    return table
