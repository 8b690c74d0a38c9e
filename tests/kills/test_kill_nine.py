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
    seed: int,
    store: str | None = None,
    variables: Mapping[str, str] | None = None,
    values: Sequence[str] = (),
) -> int:
    """Run, kill, run again; a run that reached its end is compared, and another one takes its place.

    Returns:
        How often a run went on from a checkpoint.
    """
    moments = random.Random(seed)
    done, resumes, number = 0, 0, 0
    while True:
        run = Phases(dataset, folder / f"run{number}", f"{store}/run{number}" if store else None, values)
        child = forks.start(run.commands(), variables)
        moment = moments.uniform(0, undisturbed.seconds)
        if done < kills and not child.ends_within(moment) and child.kill():
            done += 1
        else:
            assert child.end() == 0, child.log
            assert model_digests(run) == undisturbed.digests
            number += 1
        resumes += child.log.count("resumed")
        if done == kills and child.code == 0:
            return resumes


def test_three_kills(forks: ForkServer, undisturbed: Undisturbed, dataset: Path, tmp_path: Path) -> None:
    assert kill_often(forks, undisturbed, tmp_path, dataset, kills=3, seed=2) >= 1


@pytest.mark.slow
def test_ten_kills_over_a_folder(forks: ForkServer, undisturbed: Undisturbed, dataset: Path, tmp_path: Path) -> None:
    assert kill_often(forks, undisturbed, tmp_path, dataset, kills=10, seed=1) >= 2


@pytest.mark.slow
def test_ten_kills_over_s3(
    forks: ForkServer, undisturbed: Undisturbed, dataset: Path, tmp_path: Path, s3: dict[str, str], bucket: str
) -> None:
    store = f"s3://{bucket}/kills"
    assert kill_often(forks, undisturbed, tmp_path, dataset, 10, 2, store, s3) >= 2


STRATEGY = ("strategy={kind: balanced, epochs: 6, rate: 1.0e-3, fit_schedule: true}",)
"""Five legs: one of warmup, three of partial_unfreeze, one of end_to_end."""


@pytest.mark.slow
def test_five_kills_in_the_legs_of_a_strategy(forks: ForkServer, dataset: Path, tmp_path: Path) -> None:
    undisturbed = let_run(forks, Phases(dataset, tmp_path / "undisturbed", values=STRATEGY))
    assert kill_often(forks, undisturbed, tmp_path, dataset, kills=5, seed=3, values=STRATEGY) >= 1
