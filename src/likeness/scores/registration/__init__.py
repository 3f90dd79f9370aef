"""Copies that were shifted, turned, zoomed or inverted: the registered family.

```
block means of the references --> features -----------------+
                                                            +--> candidates --> alignment --> score
block means of the query -------> features in all poses ----+        ^
                                                                     |
                       first images of the other rankings (plain, dihedral, tiles)
```

In go two image sets, their block means and the groups of the references; out comes one
`PatientRanking` whose placement says what, applied to the query, lays it on the reference.

1. `features`, `proposals`: all pairs are searched in several hundred poses with a few whitened low
   frequencies per channel, which bear a movement of half a step; the flips and quarter turns in
   fewer poses. One matrix product of whole numbers per query and transform.
2. `alignment`: the candidates are aligned by Gauss-Newton steps on angle, zoom and shift, with gain
   and offset per channel, so intensity changes and inversion do not disturb.
3. `pairs`: the score is the correlation of slopes, over the part of the frame that both show. The
   unmoved pair is always tried too: registration never hides a copy that needed none.
4. `evidence`: for single pairs, the pose at full size, the query laid on its reference, and the
   correlations of grey values that a reader knows (r_cat, r_ch).

A search for the best pose raises what chance reaches; so the training images, own patient
excluded, go through the same function before anything is concluded.

What it does not find: copies bent by more than about six pixels of 256, copies seen in perspective,
parts of images (see the tiles), and copies turned, zoomed or shifted by clearly more than
`RegistrationOptions` tries.
"""

from likeness.scores.registration.evidence import Alignment, align
from likeness.scores.registration.options import RegistrationOptions
from likeness.scores.registration.poses import Pose, describe_pose
from likeness.scores.registration.registered import rank_registered

__all__ = [
    "Alignment",
    "Pose",
    "RegistrationOptions",
    "align",
    "describe_pose",
    "rank_registered",
]
