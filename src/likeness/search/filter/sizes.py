"""How much the filter keeps of an image and how it cuts up its work.

All of it was chosen by measurement and none of it changes the result.
"""

from typing import Final

LOW: Final = 768
"""Coefficients per channel that all pairs are compared by, at most."""
BANDS: Final = (2048, 4096)
"""Further ones, for the pairs that are left."""
TILE: Final = 256
"""References whose pairs are listed together: chunks of their pixels stay in a core's cache."""
FLIGHT: Final = 1024
"""References that all threads together work through at once: each time all queries pass by."""
CHUNK: Final = 4096
"""Bytes of a channel that are multiplied before the next chunk is begun."""
READ: Final = 1024
"""References whose low coefficients are read at once."""
COLUMNS: Final = 64
"""References that are packed and multiplied at once."""
STEP: Final = 128
"""Bytes per step of the wide loop: chunks are filled up to whole ones."""
