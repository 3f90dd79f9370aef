"""Artificial patients: examples, tests and benchmarks without patient data.

```
seed, patient -> brain_patient -> volumes ---> write_brats -> NIfTI files -> readers, prepare brats
              -> brain_slices  -> 256 x 256 slices, without the volume around them
              -> chest_image   -> radiograph --> write_chest -> JPEG files -> prepare chest-xray
image, kind   -> plant         -> a copy as a memorising generator would make it
```

A phantom depends on its seed and number alone, never on what was made before it. Brains share the
layout of the species and large parts of their folds, so that the nearest image of another patient
is close, as in real collections; the rest is each patient's own and changes smoothly from slice to
slice. How close, and how much fine detail there is, is measured in ``tests/datasets/``.

What phantoms are not: they carry no physics (no coil, no k-space, no X-ray spectrum) and no
diagnosis. A number measured on them says whether the programme works, not what a threshold on
real images should be.

``anatomy`` and ``lesion`` are the shape of a brain, ``texture`` the random fields behind it,
``brain`` and ``chest`` draw, ``writing`` makes files, ``planted`` alters images.
"""

from likeness.datasets.phantoms.brain import (
    BRAIN_SEQUENCES,
    PhantomBrain,
    brain_patient,
    brain_slices,
    slice_positions,
)
from likeness.datasets.phantoms.chest import ChestPatient, chest_image, chest_patient
from likeness.datasets.phantoms.planted import (
    PLANTED_KINDS,
    PlantedKind,
    add_noise,
    blur,
    change_contrast,
    mirror,
    plant,
    rotate_quarters,
    shift,
)
from likeness.datasets.phantoms.writing import write_brats, write_chest

__all__ = [
    "BRAIN_SEQUENCES",
    "PLANTED_KINDS",
    "ChestPatient",
    "PhantomBrain",
    "PlantedKind",
    "add_noise",
    "blur",
    "brain_patient",
    "brain_slices",
    "change_contrast",
    "chest_image",
    "chest_patient",
    "mirror",
    "plant",
    "rotate_quarters",
    "shift",
    "slice_positions",
    "write_brats",
    "write_chest",
]
