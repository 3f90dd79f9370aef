"""How close every query comes to every patient, seen in four ways.

In go two image sets, queries and references, and for every reference its exclusion group (a
patient, or several that are one person). Out comes, for each of four *families*, a
`PatientRanking`: the most similar groups of every query, best first, with one image of each.

- plain: r_ch of the block means;
- dihedral: the same, over the eight flips and quarter turns of the query;
- registered: the correlation of slopes (differences of neighbouring blocks), after shift, rotation,
  zoom and inversion of the most promising references: slopes separate pictures that look alike
  when blurred, which a search for the best pose makes of them;
- tiles: the best place of four neighbouring tiles, for copies of a part.

`PatientRanking.contrast` then asks by how much the best group stands out from the second best,
``c = artanh r(1) - artanh r(2)``: a picture that resembles everybody stands out from nobody.

The training images themselves go through the same functions, with their own group excluded: what
they reach is what chance reaches (see `likeness.calibration`). Nothing here decides.

All of it happens on block means (64 x 64, `decision_images`), where noise of one standard deviation
leaves a copy recognisable. Values are whole numbers, so inner products in float64 are exact, and no
result depends on the size of blocks, on their order or on the number of threads.

Nearly all pairs are skipped. A ranking needs the best image of each of the first groups; a bound
from a few numbers per image (principal axes of the references, and the length of what is left)
shows of most pairs that they are neither, and only the others are compared in full. What is skipped
would have changed nothing: the result is that of comparing every pair, bit for bit.

References lie on disk and go by in blocks; memory does not grow with their number, but for some
hundred bytes each. `stages` says in which pieces scores are computed and saved, so that a killed
run, another process or an audit of another model goes on from them.
"""

from __future__ import annotations

from likeness.scores.decision_scale import DecisionImages, decision_images
from likeness.scores.ranking import (
    FAMILIES,
    Family,
    PatientRanking,
    fisher,
    rank_groups,
    stack_rankings,
)
from likeness.scores.scorer import Scorer, ScorerOptions
from likeness.scores.store import ScoreStore

__all__ = [
    "FAMILIES",
    "DecisionImages",
    "Family",
    "PatientRanking",
    "ScoreStore",
    "Scorer",
    "ScorerOptions",
    "decision_images",
    "fisher",
    "rank_groups",
    "stack_rankings",
]
