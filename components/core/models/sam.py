"""One adapter over Segment Anything: image encoder, neck and decoder apart, batched over images."""

import torch
from jaxtyping import Float
from segment_anything.modeling import Sam
from torch import Tensor, nn
from torch.nn import functional as F

from components.core.errors import BadInput
from components.core.models.sam_config import SAM_MEAN, SAM_STD


class SamTower(nn.Module):
    """SAM (Kirillov et al. 2023) with prompts for many images at once.

    Legend: t = side of the image in pixels, g = side of the embedding, m = 4 g = side of mask prompts and of the
    masks, c = channels of the image encoder, e = channels of the embedding, k = prompts per image.
    """

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.model = model

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels."""
        return int(self.model.image_encoder.img_size)

    @property
    def mask_size(self) -> int:
        """Side of mask prompts and masks, in pixels."""
        return int(self.model.prompt_encoder.mask_input_size[0])

    def trunk(self, image: Float[Tensor, "b 3 t t"]) -> Float[Tensor, "b c g g"]:
        """Image encoder before its neck.

        Args:
            image: Normalised by `normalise`, square, of `image_size` pixels.
        """
        encoder = self.model.image_encoder
        tokens = encoder.patch_embed(image)
        if encoder.pos_embed is not None:
            tokens = tokens + encoder.pos_embed
        for block in encoder.blocks:
            tokens = block(tokens)
        features: Tensor = tokens.permute(0, 3, 1, 2).contiguous()
        return features

    def neck(self, trunk: Float[Tensor, "b c g g"]) -> Float[Tensor, "b e g g"]:
        """The rest of the image encoder: the image embedding."""
        embedding: Tensor = self.model.image_encoder.neck(trunk)
        return embedding

    def embed(self, image: Float[Tensor, "b 3 t t"]) -> Float[Tensor, "b e g g"]:
        """The whole image encoder."""
        return self.neck(self.trunk(image))

    def decode(
        self,
        embedding: Float[Tensor, "b e g g"],
        mask_logits: Float[Tensor, "b 1 h w"],
        boxes: Float[Tensor, "b k 4"] | None = None,
        points: Float[Tensor, "b k 2"] | None = None,
    ) -> Float[Tensor, "b k m m"]:
        """One mask per prompt (`multimask_output=False`), the same numbers as SAM's one-image-at-a-time forward.

        Args:
            embedding: Of `embed`.
            mask_logits: Dense prompt, any size; gradients reach it. The k prompts of an image share it.
            boxes: x0, y0, x1, y1 in pixels of the SAM image, detached here.
            points: x, y of one positive point per prompt, detached here.

        Returns:
            Mask logits.

        Raises:
            BadInput: Neither boxes nor points.
        """
        shown = boxes if boxes is not None else points
        if shown is None:
            raise BadInput("SAM needs boxes or points", where="prompts", remedy="choose geometry boxes, points or both")
        count = shown.shape[1]
        sparse = self._sparse(boxes, points)
        dense = F.interpolate(mask_logits, (self.mask_size,) * 2, mode="bilinear", align_corners=False)
        dense = self.model.prompt_encoder.mask_downscaling(dense).repeat_interleave(count, dim=0)
        masks = self._predict(embedding.repeat_interleave(count, dim=0) + dense, sparse)
        return masks.reshape(-1, count, self.mask_size, self.mask_size)

    def _sparse(
        self, boxes: Float[Tensor, "b k 4"] | None, points: Float[Tensor, "b k 2"] | None
    ) -> Float[Tensor, "bk p e"]:
        """Tokens of the points and boxes of every prompt."""
        encoder = self.model.prompt_encoder
        tokens: list[Tensor] = []
        if points is not None:
            flat = points.detach().reshape(-1, 1, 2)
            labels = torch.ones(flat.shape[:2], device=flat.device)
            tokens.append(encoder._embed_points(flat, labels, pad=boxes is None))
        if boxes is not None:
            tokens.append(encoder._embed_boxes(boxes.detach().reshape(-1, 4)))
        return torch.cat(tokens, dim=1)

    def _predict(self, source: Float[Tensor, "bk e g g"], sparse: Float[Tensor, "bk p e"]) -> Float[Tensor, "bk m m"]:
        """MaskDecoder.predict_masks with an image per prompt, for the first mask token only.

        The original repeats every image for every prompt, which is right for one image alone.
        """
        decoder = self.model.mask_decoder
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]).expand(len(sparse), -1, -1)
        position = self._dense_position().expand(len(source), -1, -1, -1)
        tokens, pixels = decoder.transformer(source, position, torch.cat([own, sparse], dim=1))
        pixels = pixels.transpose(1, 2).reshape(source.shape)
        upscaled = decoder.output_upscaling(pixels)
        weights = decoder.output_hypernetworks_mlps[0](tokens[:, 1])
        return torch.einsum("bc,bchw->bhw", weights, upscaled)

    def _dense_position(self) -> Float[Tensor, "1 e g g"]:
        """PromptEncoder.get_dense_pe without its cumulative sum, which has no deterministic kernel on CUDA."""
        encoder = self.model.prompt_encoder
        height, width = encoder.image_embedding_size
        matrix = encoder.pe_layer.positional_encoding_gaussian_matrix
        rows = (torch.arange(height, device=matrix.device, dtype=matrix.dtype) + 0.5) / height
        columns = (torch.arange(width, device=matrix.device, dtype=matrix.dtype) + 0.5) / width
        grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
        encoded: Tensor = encoder.pe_layer._pe_encoding(grid)
        return encoded.permute(2, 0, 1)[None]


def normalise(image: Float[Tensor, "*b 3 h w"]) -> Float[Tensor, "*b 3 h w"]:
    """RGB in [0, 1] to what SAM is fed with."""
    return (image * 255 - torch.tensor(SAM_MEAN)[:, None, None]) / torch.tensor(SAM_STD)[:, None, None]
