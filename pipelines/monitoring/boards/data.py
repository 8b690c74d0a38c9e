"""Data and checkpoints: what a kill would cost, what the cache saves, what the store refuses."""

from pipelines.monitoring.panel import CHOSEN, RATE, WHO, Board, Panel, Query, chosen

BOARD = Board(
    "thaw-data",
    "Thaw / Data and checkpoints",
    "What a kill would cost now, what the cache saves, and how the store behaves.",
    (
        Panel(
            "Since the last checkpoint",
            "The work that a kill would cost. A saw-tooth is healthy; ThawCheckpointOld fires at half an hour.",
            (Query(chosen("time() - (thaw_checkpoint_last_success_timestamp_seconds > 0)"), WHO),),
            "s",
        ),
        Panel(
            "Size of a checkpoint",
            "Bytes of the last committed one, best weights and optimiser included.",
            (Query(chosen("thaw_checkpoint_bytes"), WHO),),
            "bytes",
        ),
        Panel(
            "Seconds to commit",
            "Mean over the window. In the background: steps wait only where the next one is due before.",
            (
                Query(
                    chosen(f"rate(thaw_checkpoint_seconds_sum[{RATE}]) / rate(thaw_checkpoint_seconds_count[{RATE}])"),
                    WHO,
                ),
            ),
            "s",
        ),
        Panel(
            "Slowest commits",
            "95 of 100 were faster.",
            (Query(chosen(f"histogram_quantile(0.95, rate(thaw_checkpoint_seconds_bucket[{RATE}]))"), WHO),),
            "s",
        ),
        Panel(
            "Repeated requests",
            "Per second, by what was tried. More than a few: look at the store.",
            (Query(chosen(f"rate(thaw_retries_total[{RATE}])"), f"{WHO} {{{{operation}}}}"),),
        ),
        Panel(
            "Last resume",
            "How long ago this process took up the work of a killed one.",
            (Query(f"time() - thaw_resume_timestamp_seconds{CHOSEN}", WHO),),
            "s",
            kind="values",
        ),
        Panel(
            "Frozen features",
            "Read from the cache, and computed. After the first run of a phase nothing should be computed.",
            (
                Query(chosen("thaw_cache_hits_total"), f"{WHO} read"),
                Query(chosen("thaw_cache_misses_total"), f"{WHO} computed"),
            ),
            kind="values",
        ),
        Panel(
            "Set aside",
            "Samples that prepare could not use: while it runs, and as it ended.",
            (
                Query(chosen("thaw_quarantined_samples"), f"{WHO} now"),
                Query(
                    'thaw_outcome_metric{pipeline=~"$pipeline", stage="prepare", metric="quarantined"}',
                    f"{WHO} at the end",
                ),
            ),
            kind="values",
        ),
    ),
)
