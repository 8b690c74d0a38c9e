"""Every pipeline at a glance: what runs, how far it is, how the last runs ended."""

from components.core.tracking.registry import IDENTITY
from pipelines.monitoring.expression import listed
from pipelines.monitoring.panel import CHOSEN, WHO, Board, Panel, Query, chosen

ENDINGS = (("0", "done"), ("1", "failed"), ("2", "bad input"), ("75", "interrupted"))
"""Exit codes in words."""

BOARD = Board(
    "thaw-overview",
    "Thaw / Pipelines",
    "What runs, how far it is, and how the last runs ended.",
    (
        Panel(
            "Stages at work",
            "Processes that answer scrapes, by pipeline.",
            (Query(f"count by (pipeline, stage) (thaw_stage_info{CHOSEN})", "{{pipeline}} {{stage}}"),),
            kind="values",
        ),
        Panel(
            "Alerts",
            "Firing now; docs/runbook.md says what to do about each.",
            (Query('count by (alertname) (ALERTS{alertname=~"Thaw.+", alertstate="firing"})', "{{alertname}}"),),
            kind="values",
        ),
        Panel(
            "Progress",
            "Steps done of the steps planned. Patience may end a phase early.",
            (Query(chosen("thaw_current_step / thaw_planned_steps"), f"{WHO} {{{{phase}}}}"),),
            "percentunit",
        ),
        Panel(
            "Since the last sign of progress",
            "Rises without end where a stage hangs; ThawStageStalled fires at ten minutes.",
            (Query(f"time() - thaw_heartbeat_timestamp_seconds{CHOSEN}", WHO),),
            "s",
        ),
        Panel(
            "How it ended",
            "Of the last run of each stage, fold and seed, as it was pushed.",
            (Query(f"thaw_outcome_exit_code{CHOSEN}", WHO),),
            kind="values",
            words=ENDINGS,
        ),
        Panel(
            "How long ago",
            "Since that run ended.",
            (Query(f"time() - thaw_outcome_timestamp_seconds{CHOSEN}", WHO),),
            "s",
            kind="values",
        ),
        Panel(
            "How long it took",
            "Wall time of that run.",
            (Query(f"thaw_outcome_duration_seconds{CHOSEN}", WHO),),
            "s",
            kind="values",
        ),
        Panel(
            "Succeeded",
            "Share of the last runs, over folds and seeds, by stage.",
            (Query(f"avg by (pipeline, stage) (thaw_outcome_success{CHOSEN})", "{{pipeline}} {{stage}}"),),
            "percentunit",
            kind="values",
        ),
        Panel(
            "Final metrics",
            "Mean over folds and seeds of what the last runs ended with.",
            (
                Query(
                    f"avg by (pipeline, stage, metric) (thaw_outcome_metric{CHOSEN})",
                    "{{pipeline}} {{stage}} {{metric}}",
                ),
            ),
            wide=True,
        ),
        Panel(
            "Not finite",
            "Losses or gradients that were not, and ended the run.",
            (Query(f"max by {listed(IDENTITY)} (thaw_outcome_nonfinite{CHOSEN})", WHO),),
            kind="values",
        ),
        Panel(
            "Resumes",
            "Processes that took up the work of a killed one.",
            (Query(chosen("thaw_resumes_total"), WHO),),
            kind="values",
        ),
    ),
)
