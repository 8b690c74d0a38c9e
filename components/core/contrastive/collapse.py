"""Has an encoder collapsed? A diagnosis of its embeddings that needs no labels."""

import numpy as np
from jaxtyping import Float


def effective_rank(embeddings: Float[np.ndarray, "n d"]) -> float:
    """Dimensions that the embeddings really use: exp of the entropy of their normalised singular values.

    1 where all embeddings are multiples of one vector (a collapsed encoder), min(n, d) where all directions count
    alike; 0 where all are zero. The embeddings are not centred: noise about one common vector is a collapse too.

    Source:
        Roy and Vetterli, "The effective rank", EUSIPCO 2007; as a predictor of what self-supervised encoders are
        good for: Garrido et al., "RankMe", ICML 2023, arXiv:2210.02885, equation 1.
    """
    values = np.linalg.svd(np.asarray(embeddings, dtype=np.float64), compute_uv=False)
    total = values.sum()
    if total == 0:
        return 0.0
    shares = values[values > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))
