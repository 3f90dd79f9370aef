"""How good synthetic images are as a set: features, and distances between sets of them.

In: sets of 8-bit images, real, synthetic and perhaps held-out ones. Out: numbers with their sample
sizes and intervals (`Evaluation`).

    sets ----> views ----> extractor -----> feature_cache ----> measures -------> Evaluation
               channels    inception        (n, d) float64      frechet            value, interval,
               apart or    onnx_features    logits of a         kernel_distance    sample sizes,
               together    principal_...    classifier          manifolds          warnings
                           or your own                          inception_score
                                                                x draws of the bootstrap

`features` says what an extractor must promise; any object that does may be passed to `evaluate`.
`run` brings the parts together, `draws` says what the intervals mean.

What it does not do: it finds no copies. A generator that hands back its training images has the
best Fréchet distance of all, and coverage and recall to match; that is the audit's question.
"""

from likeness.metrics.evaluation import Evaluation, Measurement
from likeness.metrics.options import EvaluateOptions
from likeness.metrics.run import evaluate

__all__ = ["EvaluateOptions", "Evaluation", "Measurement", "evaluate"]
