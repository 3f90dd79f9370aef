"""An autoencoder of the training images, whose features see what correlation of pixels does not.

    training images --training.py--> folder (tensors, record) --features.py--> features (n, d)

It is trained to give an image back from a flipped, turned and elastically deformed version of it,
so that its features change little under these; the correlation of features then finds copies that
were moved, at the price of detail (Dar et al. 2023, arXiv:2305.07644, do so with volumes). It is
trained on patients and can know them: keep its folder inside.

It serves `likeness evaluate` as an extractor and `likeness.metrics.pairwise` as a measure. It never
decides in an audit.
"""

from __future__ import annotations

from likeness.metrics.autoencoder.features import AutoencoderFeatures, open_autoencoder
from likeness.metrics.autoencoder.training import Autoencoding, train_autoencoder

__all__ = ["AutoencoderFeatures", "Autoencoding", "open_autoencoder", "train_autoencoder"]
