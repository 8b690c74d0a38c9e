"""The benchmark as a table."""

from collections.abc import Sequence
from statistics import median

from rich.table import Table

from pipelines.benchmark.agreement import GRADIENT_TOLERANCE, LOSS_TOLERANCE, Agreement
from pipelines.benchmark.augmentation import OURS, THEIRS, Throughput
from pipelines.benchmark.pace import CACHED, OFF, TEXTS
from pipelines.benchmark.ratio import Saving


def saving_table(savings: Sequence[Saving], title: str) -> Table:
    """Seconds, ratios (median and range over the pairs) and the break-even epoch, one column per phase."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for one in savings:
        table.add_column(one.pace.phase)
    paces = [one.pace for one in savings]
    table.add_row("samples, batch, views", *(f"{pace.samples}, {pace.batch_size}, {pace.views}" for pace in paces))
    table.add_row("clock", *(pace.clock for pace in paces))
    labels = {OFF: "epoch, cache off", TEXTS: "epoch, texts kept", CACHED: "epoch, all kept"}
    for kind, label in labels.items():
        table.add_row(label, *(f"{median(pace.epochs[kind]):.2f} s" for pace in paces))
    table.add_row("filling, once", *(f"{pace.fill:.2f} s" for pace in paces))
    table.add_row("faster by", *(str(one.all) for one in savings))
    table.add_row("by images alone", *(str(one.vision) for one in savings))
    table.add_row("ahead after epoch", *("never" if one.break_even is None else str(one.break_even) for one in savings))
    return table


def agreement_table(found: Sequence[Agreement]) -> Table:
    """Greatest differences between a cached run and one without cache, one column per phase."""
    table = Table(title="the same steps with and without the cache", title_justify="left")
    table.add_column("greatest relative difference")
    for one in found:
        table.add_column(one.phase)
    table.add_row("fp32 steps", *(str(one.steps) for one in found))
    table.add_row(f"loss (at most {LOSS_TOLERANCE:g})", *(f"{one.loss:.1e}" for one in found))
    table.add_row(f"gradients (at most {GRADIENT_TOLERANCE:g})", *(f"{one.gradient:.1e}" for one in found))
    return table


def throughput_table(found: Sequence[Throughput], title: str) -> Table:
    """Pictures per second of both makers of views and their ratio (median and range over the rounds)."""
    table = Table(title=title, title_justify="left")
    for name in ("views", "size", "threads"):
        table.add_column(name, justify="left" if name == "views" else "right")
    for name in (f"{OURS}, pictures/s", f"{THEIRS}, pictures/s", "faster by"):
        table.add_column(name, justify="right")
    for one in found:
        rates = [f"{one.rates[maker]:.0f}" for maker in (OURS, THEIRS)]
        table.add_row(one.preset, str(one.size), str(one.threads), *rates, str(one.faster))
    table.caption, table.caption_justify = "pictures/s: two views of each, as float tensors; decoding left out", "left"
    return table
