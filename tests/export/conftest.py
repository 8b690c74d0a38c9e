"""The bundles that the tests of this folder read: exporting is what takes time."""

import ct_bundles
import pytest
import torch
from bundles import EVERY_BRANCH, VIEWS, Project, config, recipe

from components.core.data.dataset import Dataset
from components.core.export.bundle import Bundle
from components.core.stage import execute
from components.export.stage import STAGE, Outputs


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A prepared dataset and an evaluation."""
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def shipped(project: Project) -> Bundle:
    """The mean of both masks, two components, boxes and points, early injection, two views: every branch."""
    chosen = recipe(**EVERY_BRANCH)
    values = config(chosen, tta={"views": VIEWS})
    folder = project.folder / "shipped"
    assert execute(STAGE, values, project.train(chosen, "mean"), Outputs(folder))
    assert not execute(STAGE, values, project.train(chosen, "mean"), Outputs(folder)), "finished work is not repeated"
    return Bundle.open(folder)


@pytest.fixture(scope="session")
def plain(project: Project) -> Bundle:
    """The saliency alone, late injection, one view."""
    STAGE.run(config(recipe()), project.train(recipe(), "saliency"), Outputs(project.folder / "plain"))
    return Bundle.open(project.folder / "plain")


@pytest.fixture(scope="session")
def ct_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Phantoms, prepared."""
    return ct_bundles.prepared(tmp_path_factory.mktemp("phantoms") / "dataset")


@pytest.fixture(scope="session")
def ct_decision(ct_dataset: Dataset) -> dict[str, str]:
    """An operating point away from one half."""
    task = ct_bundles.RECIPE.build(ct_dataset.card)
    random = torch.Generator().manual_seed(0)
    truth = (torch.rand(40, len(task.names), generator=random) < 0.5).float()
    return task.fit({"truth": truth, "probability": 0.3 + 0.1 * torch.rand(truth.shape, generator=random)}, "val")


@pytest.fixture(scope="session")
def ct_bundle(ct_dataset: Dataset, ct_decision: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """What `export` writes of a model with random weights."""
    return ct_bundles.exported(ct_dataset, tmp_path_factory.mktemp("ct") / "bundle", ct_decision)
