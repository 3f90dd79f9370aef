"""On real chest x-rays the search finds what `numpy.corrcoef` finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.search.sources import Source

from likeness.search import SearchOptions, search

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "cxr" / "NORMAL"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the real images are not here"),
]


@pytest.mark.parametrize("method", ["brute force", "filter"])
def test_chest_xrays(method):
    """Nearest image without flips: the same one, and the same r."""
    if method == "filter":
        pytest.importorskip("numba")
    from PIL import Image

    paths = sorted(FOLDER.iterdir())[:60]
    images = np.stack(
        [np.asarray(Image.open(path).convert("L").resize((256, 256))) for path in paths]
    )
    table = np.corrcoef(images.reshape(len(images), -1).astype(np.float64))
    np.fill_diagonal(table, -2.0)
    source = Source(images[:, None])
    result = search(
        source, source, options=SearchOptions(top_k=5), query_groups=np.arange(60), method=method
    )
    assert (result.identity_index == table.argmax(axis=1)).all()
    np.testing.assert_allclose(result.identity, table.max(axis=1), atol=1e-12)
    assert (result.top.correlation[:, 0] >= result.identity).all()
