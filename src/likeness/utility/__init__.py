"""What synthetic images are good for: networks trained on them and tested on real patients.

In: the training images of a model, its synthetic images, and real images of patients whom none of
the networks saw. `measure_segmentation` trains a small U-Net, `measure_classification` a small
DenseNet, on real, on synthetic and on both, with equal numbers of steps and several seeds. Out: a
`Utility`, each number with an interval over test patients, the spread over seeds, and what a
predictor that does not look at the image reaches.

It says nothing about privacy: a synthetic set that copies its patients is as useful as they are.
Nor does it look for the best network; it holds three sources against each other under one recipe.
"""

from likeness.utility.measuring import measure_classification, measure_segmentation
from likeness.utility.options import UtilityOptions
from likeness.utility.results import Measured, Utility

__all__ = [
    "Measured",
    "Utility",
    "UtilityOptions",
    "measure_classification",
    "measure_segmentation",
]
