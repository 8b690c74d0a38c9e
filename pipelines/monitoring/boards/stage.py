"""One stage while it trains: does it learn, how fast, and what does it wait for?"""

from pipelines.monitoring.panel import RATE, Board, Panel, Query, chosen

PHASE = "{{stage}} {{phase}}"


def _quantile(metric: str, share: float) -> str:
    return chosen(f"histogram_quantile({share}, rate({metric}_bucket[{RATE}]))")


BOARD = Board(
    "thaw-stage",
    "Thaw / One stage, live",
    "Does it learn, how fast, and what does it wait for?",
    (
        Panel(
            "Loss by term",
            "Weighted terms of the last step; the loss is their sum.",
            (Query(chosen("thaw_loss"), f"{PHASE} {{{{term}}}}"),),
        ),
        Panel(
            "Validation",
            "After each epoch: the metrics that choose the best weights, and the losses beside them.",
            (Query(chosen('thaw_validation_metric{metric=~"val/.+"}'), f"{PHASE} {{{{metric}}}}"),),
        ),
        Panel(
            "Learning rate by part",
            "Newly thawed parts start low; what is frozen is not here.",
            (Query(chosen("thaw_learning_rate"), f"{PHASE} {{{{group}}}}"),),
            logarithmic=True,
        ),
        Panel(
            "Fusion weight",
            "Of the frequency stream (freqmedclip): at 0 it is switched off, at 1 alone.",
            (Query(chosen("thaw_fusion_alpha"), PHASE),),
        ),
        Panel(
            "Samples per second",
            "Of all time (validation and cache included) and of the steps alone.",
            (
                Query(chosen(f"rate(thaw_samples_total[{RATE}])"), f"{PHASE} of all time"),
                Query(
                    chosen(f"rate(thaw_samples_total[{RATE}]) / rate(thaw_step_seconds_sum[{RATE}])"),
                    f"{PHASE} of steps",
                ),
            ),
        ),
        Panel(
            "Seconds per step",
            "Median and the slowest of twenty, waiting included. Read off buckets, so no finer than those.",
            (
                Query(_quantile("thaw_step_seconds", 0.5), f"{PHASE} median"),
                Query(_quantile("thaw_step_seconds", 0.95), f"{PHASE} 95 %"),
            ),
            "s",
        ),
        Panel(
            "Waiting for data",
            "Share of step time. Above a tenth, more runtime.workers or kept features help.",
            (Query(chosen(f"rate(thaw_data_wait_seconds_sum[{RATE}]) / rate(thaw_step_seconds_sum[{RATE}])"), PHASE),),
            "percentunit",
        ),
        Panel(
            "Remaining time",
            "Planned steps left, at the present rate of steps.",
            (Query(chosen(f"(thaw_planned_steps - thaw_current_step) / rate(thaw_steps_total[{RATE}])"), PHASE),),
            "s",
        ),
        Panel("Epoch", "Of the last validation, from 0.", (Query(chosen("thaw_epoch"), PHASE),), kind="values"),
        Panel(
            "Running for",
            "Since the phase's steps began in this process.",
            (Query(chosen("time() - thaw_phase_start_timestamp_seconds"), PHASE),),
            "s",
            kind="values",
        ),
        Panel(
            "Other values",
            "What the recipe's objective logs beside its losses.",
            (Query(chosen("thaw_scalar"), f"{PHASE} {{{{name}}}}"),),
        ),
        Panel(
            "Not finite",
            "Losses or gradients. The first one ends the stage, so the overview's panel keeps it for longer.",
            (Query(chosen("thaw_nonfinite_total"), "{{stage}}"),),
            kind="values",
        ),
    ),
)
