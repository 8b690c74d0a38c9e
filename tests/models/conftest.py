"""The smallest freqmedclip that has every part, and batches for it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from components.core.augment.joint import Augment
from components.core.data.dataset import Dataset
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Split
from components.core.models.clip_config import TinyClip
from components.core.models.sam_config import TinySam
from components.recipes.freqmedclip.data import FreqMedClipData
from components.recipes.freqmedclip.model_config import Early, Late, ModelConfig
from components.recipes.freqmedclip.synthetic import Synthetic
from components.recipes.freqmedclip.task import FreqMedClipTask


@pytest.fixture(scope="session")
def config() -> ModelConfig:
    return ModelConfig(
        clip=TinyClip(width=32, depth=2, joint=16),
        sam=TinySam(image_size=32, width=32, depth=1, prompt_width=32),
        image_size=32,
        refine_width=8,
    )


@pytest.fixture(params=["late", "early"])
def any_config(config: ModelConfig, request: pytest.FixtureRequest) -> ModelConfig:
    return config.model_copy(update={"injection": Early(block=1) if request.param == "early" else Late()})


@pytest.fixture
def make_task() -> Callable[[ModelConfig], FreqMedClipTask]:
    return lambda config: FreqMedClipTask(config, Augment())


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """Four images with a lesion each."""
    generator = torch.Generator().manual_seed(5)
    mask = torch.zeros(4, 1, 32, 32)
    mask[:, :, 8:20, 10:24] = 1
    return {
        "image": torch.randn(4, 3, 32, 32, generator=generator) + mask,
        "sam_image": torch.randn(4, 3, 32, 32, generator=generator) + mask,
        "mask": mask,
        "prompt": torch.tensor([0, 1, 0, 1]),
        "caption": torch.tensor([0, 1, 1, 0]),
        "row": torch.arange(4),
    }


@pytest.fixture
def task(config: ModelConfig, make_task: Callable[[ModelConfig], FreqMedClipTask]) -> FreqMedClipTask:
    return make_task(config)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("prepared") / "data"
    data = FreqMedClipData(synthetic=Synthetic(images=20, smallest=48, largest=48))
    prepare(data, None, Split(), QuarantineLimits(), folder, workers=0)
    return Dataset.open(folder)
