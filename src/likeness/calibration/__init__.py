"""Is this unusual, how sure is that, and what does it say about people and sets?

Arrays of scores go in, numbers with their uncertainty come out. Nothing here knows images, files or
names; patients are codes.

```
contrast of synthetic images  --+
contrast of the baseline      --+-> p_values (tail) -> combine_families -> benjamini_hochberg
                                          |                                     |
   real people as synthetic -> negative_control (inflation)          affected_patients
                                                                                |
nearest patient, train or test -> membership_test, matched_share        copy_rate_bound
highest correlations           -> compare_scores, the panel             hypergeometric_bound
```

- One image: `p_values` compares its score with what real images of other people reach, counted, and
  carried on beyond them by `fit_tail`; `combine_families` and `benjamini_hochberg` pay for looking
  often; `flagged_alone` says whether a planted copy counts as caught.
- The whole set: `membership_test` asks whether it points to the patients trained on, by permuting
  who was; `fewest_leaked` says how many leaks that can notice at all. `expected_maximum` and
  `matched_share` compare maxima over equally many patients.
- None found: `copy_rate_bound` for future images, `hypergeometric_bound` for a released set.
- Patients: `affected_patients`, and how isolated they are, `local_density`.
- Effects with intervals: `compare_scores`. The literature: the functions of `panel`.
- Whether all this can be trusted here: `negative_control`.

The patient is the statistical unit everywhere: images of one patient rise and fall together. Of
the numbers here only the conservative p-value (against held-out images), the permutation tests and
the Clopper-Pearson and hypergeometric limits are exact; pooled p-values and their tail are
approximations that the negative control has to bear out on the data at hand.

What this does not do: it searches nothing and chooses no words for a verdict.
"""

from __future__ import annotations

from likeness.calibration.affected import (
    AffectedPatients,
    affected_patients,
    density_rank,
    local_density,
)
from likeness.calibration.bounds import (
    CopyRateBound,
    HiddenCopies,
    Interval,
    clopper_pearson,
    copy_rate_bound,
    hypergeometric_bound,
    lower_limit,
    sensitivity_low,
    upper_bound,
)
from likeness.calibration.equal_size import (
    ExpectedMaximum,
    expected_maximum,
    matched_share,
    probability_of_maximum,
)
from likeness.calibration.membership import MembershipTest, fewest_leaked, membership_test
from likeness.calibration.multiplicity import (
    adjusted,
    benjamini_hochberg,
    combine_families,
    flagged_alone,
)
from likeness.calibration.negative_control import NegativeControl, negative_control
from likeness.calibration.p_values import PValues, p_values
from likeness.calibration.panel import (
    authenticity,
    data_copying_test,
    mean_highest_correlation,
    nearest_ratio,
    neighbourhood_ratio,
    quantile_rule,
)
from likeness.calibration.resampling import (
    Comparison,
    Estimate,
    compare_scores,
)
from likeness.calibration.tail import Tail, fit_tail

__all__ = [
    "AffectedPatients",
    "Comparison",
    "CopyRateBound",
    "Estimate",
    "ExpectedMaximum",
    "HiddenCopies",
    "Interval",
    "MembershipTest",
    "NegativeControl",
    "PValues",
    "Tail",
    "adjusted",
    "affected_patients",
    "authenticity",
    "benjamini_hochberg",
    "clopper_pearson",
    "combine_families",
    "compare_scores",
    "copy_rate_bound",
    "data_copying_test",
    "density_rank",
    "expected_maximum",
    "fewest_leaked",
    "fit_tail",
    "flagged_alone",
    "hypergeometric_bound",
    "local_density",
    "lower_limit",
    "matched_share",
    "mean_highest_correlation",
    "membership_test",
    "nearest_ratio",
    "negative_control",
    "neighbourhood_ratio",
    "p_values",
    "probability_of_maximum",
    "quantile_rule",
    "sensitivity_low",
    "upper_bound",
]
