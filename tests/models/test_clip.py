"""The CLIP adapter: its pieces make open_clip's own forward, its tiny texts differ, local folders load offline."""

import json
from pathlib import Path

import pytest
import torch
from open_clip import CustomTextCLIP
from torch import nn

from components.core.errors import BadInput
from components.core.models.clip import ClipTower
from components.core.models.clip_build import biomedclip_on_meta, build_random
from components.core.models.clip_config import CLIP_MEAN, CLIP_STD, LocalClip, TinyClip
from components.core.models.wordpiece import WordPiece

NATIVE = {"layers": 1, "width": 32, "head_width": 32, "patch_size": 16, "image_size": 64}
"""open_clip's own vision transformer."""


def tiny(seed: int = 0) -> ClipTower:
    torch.manual_seed(seed)
    return TinyClip(width=32, depth=3, joint=32).build(64)


def test_pieces_equal_open_clips_forward() -> None:
    tower, image = tiny(), torch.randn(2, 3, 64, 64)
    whole = tower.norm(tower.entering(image, tower.depth))
    torch.testing.assert_close(whole, tower.trunk.forward_features(image))
    torch.testing.assert_close(tower.project(whole)[:, 0], tower.model.encode_image(image, normalize=True))
    for block in range(tower.depth):
        rest = tower.blocks(tower.entering(image, block), block, tower.depth)
        torch.testing.assert_close(tower.norm(rest), whole)


@pytest.mark.parametrize(("size", "patch"), [(64, 8), (96, 8), (64, 16)])
def test_sizes(size: int, patch: int) -> None:
    tower = TinyClip(width=32, depth=1, patch=patch).build(size)
    assert (tower.grid, tower.patch, tower.depth, tower.width, tower.joint) == (size // patch, patch, 1, 32, 64)
    assert tower.embed(torch.rand(1, 3, size, size)).shape == (1, 1 + (size // patch) ** 2, 32)


def test_no_norm_couples_the_batch() -> None:
    tower = tiny()
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in tower.modules())
    image = torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(tower.entering(image, 3)[:1], tower.entering(image[:1], 3), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_distinct_prompts_have_distinct_embeddings(seed: int) -> None:
    tower = TinyClip().build(64) if seed == 0 else tiny(seed)
    texts = [
        "a smooth dark oval lesion in the ultrasound image",
        "a bright spiculated mass in the ultrasound image",
        "a benign tumor in the breast",
        "a normal lung",
    ]
    embedded = tower.text(tower.tokenise(texts))
    cosines = embedded @ embedded.T
    assert cosines[~torch.eye(4, dtype=torch.bool)].max() < 0.85
    torch.testing.assert_close(cosines.diagonal(), torch.ones(4))


def test_gradient_checkpointing_changes_nothing() -> None:
    tower, image = tiny(), torch.randn(2, 3, 64, 64)
    grads = []
    for on in (False, True):
        tower.trunk.set_grad_checkpointing(on)
        tower.zero_grad()
        tower.project(tower.norm(tower.entering(image, 3)))[..., 0].sum().backward()
        grads.append(tower.trunk.blocks[0].attn.qkv.weight.grad.clone())
    assert torch.equal(*grads)


def test_tiny_refuses_a_size_off_the_patch() -> None:
    with pytest.raises(BadInput, match="multiple"):
        TinyClip().build(60)


def test_wordpiece() -> None:
    tokenise = WordPiece(8)
    ids = tokenise(["Dark lesions", "lesion qzx", "\u00e9", "a " * 50])
    names = {number: piece for piece, number in tokenise.ids.items()}
    assert [names[n] for n in ids[0].tolist()] == ["[CLS]", "dark", "lesion", "##s", "[SEP]", *["[PAD]"] * 3]
    assert names[int(ids[1, 3])] == "##z", "letters make up unknown words"
    assert names[int(ids[2, 1])] == "[UNK]"
    assert int(ids[3, -1]) == tokenise.size - 1, "long texts keep their end, the greatest id"


def local_folder(folder: Path) -> Path:
    """A BiomedCLIP in miniature: timm tower, BERT text tower, tokeniser files, weights as published (.bin)."""
    bert = {"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert |= {"intermediate_size": 32, "vocab_size": 12, "max_position_embeddings": 16}
    (folder / "config.json").write_text(json.dumps(bert))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "lesion", "dark", "bright", "lung", "a", "b", "c"]
    (folder / "vocab.txt").write_text("\n".join(words))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    settings = {
        "embed_dim": 16,
        "vision_cfg": {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160},
        "text_cfg": {
            "hf_model_name": "someone/text-tower",
            "hf_tokenizer_name": "someone/text-tower",
            "hf_proj_type": "mlp",
            "hf_pooler_type": "cls_last_hidden_state_pooler",
            "context_length": 16,
        },
    }
    document = {"model_cfg": settings, "preprocess_cfg": {"mean": list(CLIP_MEAN), "std": list(CLIP_STD)}}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    model = build_random(document, folder)
    state = {**model.state_dict(), "text.transformer.embeddings.position_ids": torch.arange(16)[None]}
    torch.save(state, folder / "open_clip_pytorch_model.bin")
    return folder


def test_a_local_folder_loads_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", no_network)
    tower = LocalClip(folder=local_folder(tmp_path)).build(160)
    weights = torch.load(tmp_path / "open_clip_pytorch_model.bin", weights_only=True)
    assert torch.equal(weights["visual.trunk.cls_token"], tower.trunk.cls_token)
    ids = tower.tokenise(["dark lesion", "bright lung"])
    assert ids.shape == (2, 16)
    assert tower.text(ids).shape == (2, 16)
    assert tower.norm(tower.entering(torch.rand(1, 3, 160, 160), tower.depth)).shape == (1, 101, tower.width)


def test_another_image_size_reaches_the_tower(tmp_path: Path) -> None:
    folder = local_folder(tmp_path)
    tower = LocalClip(folder=folder).build(96)
    assert tower.grid == 6
    assert tower.embed(torch.rand(1, 3, 96, 96)).shape == (1, 37, tower.width)
    with pytest.raises(BadInput, match="multiple"):
        LocalClip(folder=folder).build(100)


def test_a_local_folder_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    folder = local_folder(tmp_path)
    document = json.loads((folder / "open_clip_config.json").read_text())
    document["preprocess_cfg"]["mean"] = [0.5, 0.5, 0.5]
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match="normalised"):
        LocalClip(folder=folder).build(160)
    (folder / "config.json").unlink()
    document["preprocess_cfg"] = {}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match=r"config\.json of the text tower"):
        LocalClip(folder=folder).build(160)
    (folder / "open_clip_config.json").unlink()
    with pytest.raises(BadInput, match="open_clip_config"):
        LocalClip(folder=folder).build(160)


def test_biomedclip_at_full_size() -> None:
    tower = ClipTower(biomedclip_on_meta(), WordPiece(8), 224)
    assert (tower.depth, tower.width, tower.grid, tower.patch, tower.joint) == (12, 768, 14, 16, 512)
    last_two = sum(p.numel() for block in tower.trunk.blocks[-2:] for p in block.parameters())
    assert last_two == pytest.approx(14.2e6, rel=0.01)


def test_a_model_without_a_vision_transformer_is_refused() -> None:
    with pytest.raises(BadInput, match="vision transformer"):
        ClipTower(CustomTextCLIP(16, NATIVE, {"layers": 1, "width": 32, "heads": 2}), WordPiece(8), 64)
