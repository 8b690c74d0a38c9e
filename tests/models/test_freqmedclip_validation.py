"""What every epoch measures on the validation split: masks, outlines, prompts, and the losses that train."""

import numpy as np
import pytest
import torch

from components.core.data.dataset import Dataset
from components.core.losses.columns import loss_means
from components.core.metrics.surface import boundary_f1, nsd
from components.recipes.freqmedclip.task import FreqMedClipTask

LOSSES = {"seg": 1.0, "hinge": 1.0, "sam_seg": 0.5, "contrastive": 0.3}
METRICS = ("dice", "iou", "nsd", "boundary_f1")


def test_masks_outlines_and_losses_are_measured_per_sample(task: FreqMedClipTask, dataset: Dataset) -> None:
    model = task.build_model(0).eval()
    examples = task.examples(dataset, "val")
    batch = examples.load(range(4), [()] * 4, frozenset({"image", "mask", "sam_image", "prompt", "caption"}))
    with torch.no_grad():
        features = {"sam:embedding": model.sam.embed(batch["sam_image"])}
        for name, texts in (("prompt", examples.prompts), ("caption", examples.captions)):
            features[name] = model.clip.text(model.clip.tokenise(texts))[batch[name]]
        before = torch.get_rng_state()
        measured = task.measure(model, batch, features, LOSSES)
        assert torch.equal(torch.get_rng_state(), before), "validation draws no randomness that training would miss"
        predicted = task.predict(model, batch, features)
        terms = task.objective(model, batch, features, LOSSES).terms
    truth = batch["mask"][:, 0].numpy() > 0.5
    for name, probability in predicted.items():
        masks = probability.numpy() >= 0.5
        for metric, value in (("nsd", nsd), ("boundary_f1", boundary_f1)):
            expected = [value(mask, wanted) for mask, wanted in zip(masks, truth, strict=True)]
            np.testing.assert_allclose(measured[f"{metric}_{name}"].numpy(), expected, rtol=1e-6)
    for name, value in terms.items():
        torch.testing.assert_close(measured[f"loss_{name}"], value)
    summary = task.summarise(measured)
    best = task.decide(summary)["mask"]
    assert all(summary[metric] == summary[f"{metric}_{best}"] for metric in METRICS)
    assert summary["loss"] == pytest.approx(sum(float(value.mean()) for value in terms.values()), rel=1e-5)
    assert {"prompt_box_iou", "saliency_sharpness", "fusion_alpha"} <= set(summary)


def test_a_loss_that_is_not_finite_is_warned_of_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    columns = {"loss_seg": torch.tensor([1.0, float("nan")]), "loss_hinge": torch.zeros(2), "dice": torch.zeros(2)}
    assert loss_means(columns) == {}
    assert "not finite in loss_seg" in caplog.text
    assert loss_means({"dice": torch.zeros(2)}) == {}
