"""What an audit decided, and how far that goes: plain frozen records, part of `Findings`.

Shares and rates are in [0, 1], intervals hold with 95 %.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Family = Literal["plain", "dihedral", "registered", "tiles"]
"""How a synthetic image is laid on a training image; see `likeness.scores`."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class FamilyBaseline:
    """What real images reach among the training images of other people, in one family."""

    family: Family
    num_images: int
    num_groups: int
    """People behind them: patients, those that are one person counted once."""
    most_per_group: int
    """Most images of one of them; limits the conservative p-value."""
    contrast_median: float
    contrast_99: float
    contrast_maximum: float
    tail_threshold: float | None
    """Contrast beyond which p-values are extrapolated; None where there are too few images."""
    tail_share: float | None
    """Share of the baseline beyond it."""
    tail_shape: float | None
    tail_scale: float | None
    similarity_999: float | None
    """Similarity that one baseline image in a thousand exceeds; None with fewer than 1,000."""


@dataclass(frozen=True)
class PlantedKind:
    """Copies that the audit made itself, by one kind of alteration."""

    kind: str
    planted: int
    caught: int
    """Flagged as the only copy in the set, with the right patient."""


@dataclass(frozen=True)
class PlantedLevel:
    """Copies that the audit made itself, by one level of alteration."""

    level: str
    words: str
    """The alterations in words."""
    mandatory: bool
    planted: int
    caught: int
    sensitivity_low: float
    """Lower 95 % bound (two-sided) of the share caught."""
    rate_bound: float | None
    """Highest rate of such copies that the number found leaves possible, with 95 %; None where no
    planted copy was caught."""
    kinds: list[PlantedKind] = field(default_factory=list)


@dataclass(frozen=True)
class NegativeControl:
    """Real pictures of other people, judged as if they were synthetic: none may be flagged."""

    source: Literal["test", "train", "none"]
    """Held-out patients, or folds of training patients."""
    num_folds: int
    folds_with_flags: int
    num_images: int
    num_flagged: int
    share_below_01: float
    """Share with p <= 0.01; about 0.01 where the p-values are right."""
    inflation: float
    """Factor by which all p-values were multiplied because of it; 1 where none was needed."""
    flagged_ids: list[str]
    passed: bool
    membership_p: float | None
    """Membership test on pictures of held-out people that no generator made; None without test."""


@dataclass(frozen=True)
class SelfCheck:
    """The audit, tried on images whose truth is known."""

    run: bool
    reduced: bool
    """With fewer planted copies than an ordinary audit."""
    passed: bool
    """The negative control passed and the sensitivity suffices at all mandatory levels."""
    sensitive: bool
    """Lower bound of the sensitivity at least 90 % at all mandatory levels."""
    negative: NegativeControl | None
    levels: list[PlantedLevel]
    reason: str = ""
    """What failed, in a sentence; empty where it passed."""


@dataclass(frozen=True)
class Membership:
    """Does the set as a whole point to training patients more than to held-out ones?"""

    available: bool
    reason: str
    """Why not, where it is not available."""
    num_train_patients: int = 0
    num_test_patients: int = 0
    permutations: int = 0
    matched_share: float | None = None
    """T: contrast-weighted share of synthetic images whose nearest person is a training patient."""
    expected_share: float | None = None
    """pi: the share if membership had no influence."""
    band_low: float | None = None
    band_high: float | None = None
    """95 % of the permuted shares lie between these."""
    p_value: float | None = None
    delta: float | None = None
    """(T - pi) / (1 - pi): 0 no influence of training, 1 everything points to training patients."""
    fewest_leaked_05: int | None = None
    """With fewer different patients copied, not even p <= 0.05 can be reached."""
    fewest_leaked_01: int | None = None
    equal_size_share: float | None = None
    """Mean probability that the training patients win against equally many; 0.5 expected."""


@dataclass(frozen=True)
class EqualSize:
    """Highest correlation in train and test, as if there were equally many patients in both."""

    num_patients: int
    """The smaller number of patients, to which the larger is brought."""
    train_mean: float
    """Mean highest r_ch at 64 x 64, synthetic -> train, expected over random choices of as many
    training patients."""
    test_mean: float
    """The same, synthetic -> test."""
    difference: Interval
    """train_mean - test_mean; resampled over synthetic images."""
    train_mean_all: float
    """With all training patients: not comparable with the test patients."""


@dataclass(frozen=True)
class Rates:
    """How often copies occur, and how often they may occur unseen."""

    copy_rate: Interval
    """Flagged share with its Clopper-Pearson interval: for images the generator makes."""
    excess_rate: Interval | None
    """Share above the 99 % point of real pictures beyond what chance gives; see `docs/method`."""
    auc: Interval | None
    """Probability that a synthetic image is closer to the training images than a held-out one."""
    mean_difference: Interval | None
    """Mean Fisher z of the highest r, synthetic less held-out."""
    num_audited: int
    num_in_set: int
    """Images in the set of which `num_audited` were audited; equal where all were."""
    unseen_in_set: int
    """With 95 %, at most so many recognisable copies among the images that were not audited."""


@dataclass(frozen=True)
class AffectedPatients:
    """How many patients the flagged images show, and how many more a larger set would."""

    seen: int
    singletons: int
    """Patients with exactly one flagged image."""
    doubletons: int
    chao1: float
    """Lower estimate of all patients that the generator would give away."""
    next_new: float
    """Estimated probability that the next image gives away a patient not seen yet."""


@dataclass(frozen=True)
class PanelRow:
    """A measure from the literature, beside the decision and without influence on it."""

    name: str
    value: float | None
    detail: str
    """Interval, p-value, or what the value is compared with."""
    meaning: str
    """How to read it, and where it goes wrong."""
    source: str


@dataclass(frozen=True)
class CoverageRow:
    """One class of risk: whether this audit looked for it, and what it saw."""

    risk: str
    in_scope: bool
    executed: bool
    result: str


@dataclass(frozen=True)
class Consistency:
    """Do the same images get flagged again when chance and small shifts change?"""

    num_runs: int
    jaccard_mean: float
    jaccard_lowest: float
