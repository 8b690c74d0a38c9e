"""The race of readers: the same slices from all of them, times in turn, and an honest word where a target is missed."""

from pathlib import Path

import numpy as np
import pytest

from components.core.errors import BadInput
from components.core.volumes.extraction import Extraction
from pipelines.benchmark import extraction
from pipelines.benchmark.extraction import OURS, TARGETS, race, race_table, volumes_of
from tests.volumes.volume_files import random_voxels, write_nifti

HOW = Extraction(size=16, hu="header")


@pytest.mark.slow
def test_every_reader_runs_every_round(tmp_path: Path) -> None:
    files = [write_nifti(tmp_path / f"{i}.nii.gz", random_voxels(seed=i)) for i in range(2)]
    found = race(files, HOW, rounds=2)
    assert set(found.seconds) == {OURS, *TARGETS} and {len(times) for times in found.seconds.values()} == {2}
    assert (found.volumes, found.voxels) == (2, 2 * 9 * 11 * 7)
    assert race_table(found).row_count == 4


def test_a_reader_that_reads_something_else_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [write_nifti(tmp_path / "a.nii.gz", random_voxels())]
    monkeypatch.setattr(extraction, "_readers", lambda: {"nibabel": lambda path: np.zeros((9, 11, 7), np.int16)})
    with pytest.raises(BadInput, match="nibabel reads another volume"):
        race(files, HOW, rounds=1)


def test_a_folder_without_volumes(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no \.nii\.gz"):
        volumes_of(tmp_path, tmp_path, 1)
