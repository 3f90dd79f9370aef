"""Is this score unusual?

In:  the decision score of every baseline image (real images of people the query cannot copy) and
     of every synthetic image. The score of an image is its highest r_ch with any training image at
     64 x 64 block means, over the eight flips and quarter turns.
Out: a `Threshold` and a `Decision`: which images are flagged, how many flags chance alone would
     give, and the verdict.

What this does not do: it knows nothing about images, patients' names or files. A better rule for
deciding replaces `decide` and nothing else.
"""

from __future__ import annotations

from likeness.calibration.decision import Decision, decide
from likeness.calibration.threshold import Threshold, calibrate, fewest_images

__all__ = ["Decision", "Threshold", "calibrate", "decide", "fewest_images"]
