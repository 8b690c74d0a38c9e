"""What somebody is called for, and when. docs/runbook.md has a section for each of them."""

from dataclasses import dataclass
from typing import Literal

from components.core.tracking.registry import IDENTITY
from pipelines.monitoring.expression import ON_IDENTITY, ON_TARGET, TARGET, Clock, listed, of_stage

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

STALLED = 10 * MINUTE
OLD_CHECKPOINT = 30 * MINUTE
TAKEN_UP = HOUR
RESUMES, RESUMES_WITHIN = 3, 2 * HOUR
PACE_NOW, PACE_BEFORE, PACE_SHARE = 10 * MINUTE, 2 * HOUR, 0.5
IDLE_LOAD, IDLE_FOR = 0.1, 15 * MINUTE

STAGE = "{{ $labels.pipeline }}/{{ $labels.stage }}"
"""How a message names the stage."""


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes:
        name: Its name, and the heading in the runbook.
        expression: PromQL; it fires for every series of the result.
        hold: Seconds for which there must be a result before it fires.
        severity: critical: work has ended or stands still; warning: it costs more than it should.
        summary: One line with the labels of the series.
        explanation: What the reader would lose, in a sentence.
    """

    name: str
    expression: str
    hold: float
    severity: Literal["critical", "warning"]
    summary: str
    explanation: str

    @property
    def runbook(self) -> str:
        """Where it is explained."""
        return f"docs/runbook.md#{self.name.lower()}"


def alerts(clock: Clock) -> tuple[Alert, ...]:
    """Every alert, with times by this clock."""
    return (*_of_work(clock), *_of_cost(clock), *_of_outcomes(clock))


def _of_work(clock: Clock) -> tuple[Alert, ...]:
    """Work that stands still, or that a kill would cost."""
    # A process that hangs as a whole answers no scrape, so its last word is looked for. Of a process that ended, the
    # target goes too, and `up` with it. One target may have run several stages: the newest word counts.
    newest = f"topk by {listed(TARGET)} (1, last_over_time(thaw_heartbeat_timestamp_seconds[{clock.span(DAY)}]))"
    # Without a checkpoint yet, the age counts from the first step.
    either = "thaw_checkpoint_last_success_timestamp_seconds or thaw_phase_start_timestamp_seconds"
    saved = f"max by {listed(TARGET)} ({either})"
    stepping = f"sum by {listed(TARGET)} (rate(thaw_steps_total[{clock.span(STALLED)}])) > 0"
    return (
        Alert(
            "ThawStageStalled",
            f"time() - {newest} > {clock.seconds(STALLED)} and {ON_TARGET} up",
            MINUTE,
            "critical",
            f"{STAGE} has shown no progress for {{{{ $value | humanizeDuration }}}}",
            "The stage runs, or its pod exists, but no step, batch or file has been finished.",
        ),
        Alert(
            "ThawCheckpointOld",
            of_stage(f"time() - {saved} > {clock.seconds(OLD_CHECKPOINT)} and {ON_TARGET} {stepping}"),
            MINUTE,
            "warning",
            f"{STAGE} has saved nothing for {{{{ $value | humanizeDuration }}}}",
            "A kill now would cost all work since then.",
        ),
        Alert(
            "ThawResumedRepeatedly",
            f"sum by {listed(IDENTITY)} (changes(thaw_resume_timestamp_seconds[{clock.span(RESUMES_WITHIN)}])"
            f" + (min_over_time(thaw_resume_timestamp_seconds[{clock.span(RESUMES_WITHIN)}])"
            f" > bool time() - {clock.seconds(RESUMES_WITHIN)})) >= {RESUMES}",
            0,
            "warning",
            f"{STAGE} was killed and taken up {{{{ $value }}}} times within {clock.span(RESUMES_WITHIN)}",
            "Every resume repeats the work since the last checkpoint, and the start-up.",
        ),
    )


def _of_cost(clock: Clock) -> tuple[Alert, ...]:
    """Work that goes on, at a higher price than it could."""
    # Samples per second of stepping: validation and the filling of caches do not count as slow.
    now = clock.span(PACE_NOW)
    pace = f"rate(thaw_samples_total[{now}]) / rate(thaw_step_seconds_sum[{now}])"
    before = f"({pace} > 0)[{clock.span(PACE_BEFORE)}:{clock.span(MINUTE)}]"
    idle = f"avg_over_time(thaw_gpu_utilization_ratio[{clock.span(IDLE_FOR)}]) < {IDLE_LOAD}"
    return (
        Alert(
            "ThawThroughputDropped",
            of_stage(f"{pace} < {PACE_SHARE} * quantile_over_time(0.5, {before})"),
            PACE_NOW,
            "warning",
            f"{STAGE} is down to {{{{ $value | humanize }}}} samples/s, less than half of what it made before",
            "The same steps take more than twice as long as the median of the last two hours.",
        ),
        Alert(
            "ThawGpuIdle",
            of_stage(f"{idle} and {ON_TARGET} thaw_phase_start_timestamp_seconds"),
            IDLE_FOR,
            "warning",
            f"GPU {{{{ $labels.gpu }}}} of {STAGE} works {{{{ $value | humanizePercentage }}}} of the time",
            "A GPU is held and hardly used.",
        ),
    )


def _of_outcomes(clock: Clock) -> tuple[Alert, ...]:
    """How stages ended, as they pushed it. A Pushgateway never forgets, so what is older than a day is left out."""
    recent = f"thaw_outcome_timestamp_seconds > time() - {clock.seconds(DAY)}"
    waiting = f"thaw_outcome_timestamp_seconds < time() - {clock.seconds(TAKEN_UP)}"
    live = of_stage("thaw_nonfinite_total")
    stage = f"max by {listed(IDENTITY)}"  # the gateway's own pod would stand beside what was pushed
    return (
        Alert(
            "ThawLossNotFinite",
            f"{stage} (thaw_outcome_nonfinite and {recent} or {live}) > 0",
            0,
            "critical",
            f"{STAGE} stopped: a loss or gradient was not finite",
            "Retrying with the same values and data ends the same way.",
        ),
        Alert(
            "ThawStageFailed",
            f"{stage} (thaw_outcome_exit_code != 0 != 75 and {recent})",
            0,
            "critical",
            f"{STAGE} failed with exit code {{{{ $value }}}}",
            "2 is bad input, which no retry mends; others but 75 are bugs.",
        ),
        Alert(
            "ThawStageNotTakenUp",
            f"{stage} (thaw_outcome_exit_code == 75 and {waiting} and {recent})"
            f" unless {ON_IDENTITY} thaw_heartbeat_timestamp_seconds",
            0,
            "warning",
            f"{STAGE} was interrupted and nothing has taken it up again",
            "It would go on from its last checkpoint if it were started again.",
        ),
    )
