"""Prompts the bundle does not know, where the CLIP came from a folder that is no longer there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from components.core.errors import BadInput
from components.core.export.bundle import Bundle
from components.core.models.clip_build import build_random
from components.recipes.freqmedclip.known_prompts import KnownPrompts
from components.recipes.freqmedclip.model_config import ModelConfig
from components.recipes.freqmedclip.new_prompt import embed_prompt, keep_tokeniser

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "lesion", "mass")
CONFIG = {
    "model_cfg": {
        "embed_dim": 8,
        "vision_cfg": {"timm_model_name": "test_vit", "timm_proj": "linear", "timm_pool": "", "image_size": 160},
        "text_cfg": {
            "hf_model_name": "text",
            "hf_tokenizer_name": "text",
            "hf_proj_type": "mlp",
            "hf_pooler_type": "cls_last_hidden_state_pooler",
            "context_length": 12,
        },
    },
    "preprocess_cfg": {},
}
BERT = {
    "model_type": "bert",
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 16,
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A CLIP's folder as it is published: configuration, tokeniser, and weights that are not to be copied."""
    folder = tmp_path / "published"
    (folder / "text").mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    (folder / "text" / "config.json").write_text(json.dumps(BERT), encoding="utf-8")
    tokens = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokens.pre_tokenizer = Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokens, **special).save_pretrained(folder)
    (folder / "open_clip_model.safetensors").write_bytes(b"large")
    return folder


def test_a_new_prompt_needs_nothing_but_the_bundle(source: Path, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_random(CONFIG, source).eval()
    config = ModelConfig.model_validate(
        {"clip": {"kind": "local", "folder": source}, "sam": {"kind": "tiny"}, "image_size": 160}
    )
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    copied = keep_tokeniser(config, bundle)
    assert {"clip/open_clip_config.json", "clip/text/config.json", "clip/tokenizer.json"} <= set(copied)
    assert not list(bundle.rglob("*.safetensors"))
    weights = {f"clip.model.{name}": value.clone() for name, value in model.state_dict().items()}
    save_file(weights, bundle / "weights.safetensors")
    shutil.rmtree(source)
    found = embed_prompt(Bundle(bundle, {}, {}), config, "a mass")
    ids = torch.zeros(1, 12, dtype=torch.int64)
    ids[0, :2] = torch.tensor([WORDS.index("a"), WORDS.index("mass")])
    with torch.no_grad():
        expected = model.encode_text(ids, normalize=True)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_which_prompt_is_meant() -> None:
    config = ModelConfig.model_validate({"clip": {"kind": "tiny"}, "sam": {"kind": "tiny"}, "image_size": 48})
    table = np.eye(2, dtype=np.float32)
    one = KnownPrompts(("a mass",), table[:1], config)
    two = KnownPrompts(("a mass", "a lesion"), table, config)
    assert one.resolve(" ") == "a mass"
    assert two.resolve(" a lesion ") == "a lesion"
    np.testing.assert_array_equal(two.embed("a lesion"), table[1])
    with pytest.raises(BadInput, match="'a mass', 'a lesion'"):
        two.resolve("")
    with pytest.raises(BadInput, match="no embedding of 'other'"):
        two.embed("other")
