"""`kill -9` at any moment costs time and changes no bit."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.kills.conftest import Undisturbed, let_run, model_digests
from tests.kills.forks import ForkServer
from tests.kills.phases import Phases


def kill_often(
    forks: ForkServer,
    undisturbed: Undisturbed,
    folder: Path,
    dataset: Path,
    kills: int,
    resumed: int,
    seed: int,
    store: str | None = None,
    variables: Mapping[str, str] | None = None,
    values: Sequence[str] = (),
) -> None:
    """Run, kill, run again; a run that reached its end is compared, and another one takes its place.

    Args:
        kills: How many at least.
        resumed: How often at least a run must have gone on from a checkpoint. Where moments fall in the work depends
            on the load of the machine, so there are more kills until it has, though not for ever.
    """
    moments = random.Random(seed)
    done, resumes, number = 0, 0, 0
    while done < kills or resumes < resumed or child.code != 0:
        assert done + number < 10 * kills, f"{resumes} runs went on from a checkpoint, of {done} that were killed"
        run = Phases(dataset, folder / f"run{number}", f"{store}/run{number}" if store else None, values)
        child = forks.start(run.commands(), variables)
        moment = moments.uniform(0, undisturbed.seconds)
        if (done < kills or resumes < resumed) and not child.ends_within(moment) and child.kill():
            done += 1
        else:
            assert child.end() == 0, child.log
            assert model_digests(run) == undisturbed.digests
            number += 1
        resumes += child.log.count("resumed")


def test_three_kills(forks: ForkServer, undisturbed: Undisturbed, dataset: Path, tmp_path: Path) -> None:
    kill_often(forks, undisturbed, tmp_path, dataset, kills=3, resumed=1, seed=2)


@pytest.mark.slow
def test_ten_kills_over_a_folder(forks: ForkServer, undisturbed: Undisturbed, dataset: Path, tmp_path: Path) -> None:
    kill_often(forks, undisturbed, tmp_path, dataset, kills=10, resumed=2, seed=1)


@pytest.mark.slow
def test_ten_kills_over_s3(
    forks: ForkServer, undisturbed: Undisturbed, dataset: Path, tmp_path: Path, s3: dict[str, str], bucket: str
) -> None:
    store = f"s3://{bucket}/kills"
    kill_often(forks, undisturbed, tmp_path, dataset, 10, 2, 2, store, s3)


STRATEGY = ("strategy={kind: balanced, epochs: 6, rate: 1.0e-3, fit_schedule: true}",)
"""Five legs: one of warmup, three of partial_unfreeze, one of end_to_end."""


@pytest.mark.slow
def test_five_kills_in_the_legs_of_a_strategy(forks: ForkServer, dataset: Path, tmp_path: Path) -> None:
    undisturbed = let_run(forks, Phases(dataset, tmp_path / "undisturbed", values=STRATEGY))
    kill_often(forks, undisturbed, tmp_path, dataset, kills=5, resumed=1, seed=3, values=STRATEGY)
