"""Two bundles that the tests of this folder read: exporting is what takes time."""

import pytest
from bundles import EVERY_BRANCH, VIEWS, Project, config, recipe

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
