"""Images changed in known ways: copies that must be found, and innocents that must not.

```
image of a training patient --(Alteration of a level)--> planted copy    -> must be flagged
images of other patients ----(Control)-----------------> negative control -> must not be flagged
```

Everything is a function of one image (C, H, W) of any real number type, of a random generator and
sometimes of a second image. Out comes an image of the same shape, type and range of values: what
leaves the range is cut off, as in a file. Equal seeds give equal images. Sizes in pixels are meant
for 256 x 256 and grow with the side.

    registry    `Alteration`, the levels L0 to L5 and their kinds
    planting    `plant_level`: copies spread evenly over the kinds of a level
    controls    `negative_controls`: noise, blur, shrinking towards the mean, averages
    intensity, geometry, mixing, _jpeg    what the kinds do

Each level begins where the one before ends: rotations of L3 are 3 to 7 degrees, not 0 to 7. A
sensitivity measured here therefore holds for the milder changes as well.

Nothing here is random by itself, nothing reads files, and nothing decides.
"""

from likeness.alterations.controls import CONTROLS, Control, negative_controls
from likeness.alterations.planting import PlantedCopies, plant_level
from likeness.alterations.registry import (
    ALTERATIONS,
    LEVELS,
    MANDATORY_LEVELS,
    Alteration,
    Level,
    kinds_of,
)

__all__ = [
    "ALTERATIONS",
    "CONTROLS",
    "LEVELS",
    "MANDATORY_LEVELS",
    "Alteration",
    "Control",
    "Level",
    "PlantedCopies",
    "kinds_of",
    "negative_controls",
    "plant_level",
]
