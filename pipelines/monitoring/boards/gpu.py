"""GPUs of running stages: are they worked, are they full?"""

from pipelines.monitoring.panel import RATE, Board, Panel, Query, chosen

GPU = "{{pipeline}} {{stage}} GPU {{gpu}}"

BOARD = Board(
    "thaw-gpu",
    "Thaw / GPUs",
    "Are the GPUs worked, are they full, and what do they wait for?",
    (
        Panel(
            "Load",
            "Share of the driver's sample period with work on the GPU. ThawGpuIdle fires below a tenth.",
            (Query(chosen("thaw_gpu_utilization_ratio"), GPU),),
            "percentunit",
        ),
        Panel(
            "Memory in use",
            "By all processes on the GPU.",
            (Query(chosen("thaw_gpu_memory_used_bytes"), GPU),),
            "bytes",
        ),
        Panel(
            "Memory in use, of all",
            "Near 1 the next larger batch would not fit.",
            (Query(chosen("thaw_gpu_memory_used_bytes / thaw_gpu_memory_total_bytes"), GPU),),
            "percentunit",
        ),
        Panel(
            "Waiting for data",
            "Share of step time: the usual reason of an idle GPU.",
            (
                Query(
                    chosen(f"rate(thaw_data_wait_seconds_sum[{RATE}]) / rate(thaw_step_seconds_sum[{RATE}])"),
                    "{{pipeline}} {{stage}} {{phase}}",
                ),
            ),
            "percentunit",
        ),
    ),
)
