"""The audit's decisions, tried on images whose truth is known.

```
image set with patients --queries--> copies, innocents --bank--> every query x every other patient
                                                                   |  once; kept in OUT/work
   random divisions into train | test | novel: only which columns count
                                                                   v
   splits      null of the training patients, p-values, the right patient or not
   mixtures    sensitivity per level, false discoveries, flags without copies
   membership  size and power of the test of the whole set, contaminated divisions
   coverage    the upper bound of the copy rate against the true rate
   panel       the rules of the literature on the same images
                                                                   v
   table (goal, estimate, interval, reached), page, JSON, CSV
```

The expensive part is the score bank; hundreds of divisions are arithmetic on it. What is written
holds numbers only, and may be handed on.

The decisions come from `likeness.scores` and `likeness.calibration`, as in an audit. Not tried
here: preparing files, the verdict's words, the release.
"""

from likeness._validate.options import ValidationOptions
from likeness._validate.run import Validation, plan_validation, validate

__all__ = ["Validation", "ValidationOptions", "plan_validation", "validate"]
