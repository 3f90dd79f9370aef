"""The release: from an audit to a folder of images that may be handed on, or to a reason why not.

```
audit folder, policy, review
  audit_folder   findings and tables, every byte compared with the audit's own checksums
  sets           the image sets, every byte and pixel hash compared with what the audit saw
  requirements   what must hold before anything can be shown     -> NOT_PROVEN, exit 4
  decisions      pure: tables + policy + review -> per image release or withhold, with reasons;
                 rules for the whole set                          -> BLOCKED, exit 1
  encoding       pixels -> files that hold pixels and nothing else
  staging        a folder beside the final one; read back from disk; one rename
  gate_scores    the read-back images scored again, p-values from the audit's own baseline
  quality        sensitivity, specificity and consistency of the gate on these data
  record, pages  what the receiver gets beside the images
  private_files, release_log   what stays with the audit
verification     what the receiver can check without training data
run              the order of all this
```

It fails closed: every fault, on every step, leaves no release. It weakens nothing: a person can
withhold any image, and can release only one that lies in the review band.

The output is judged again without a second audit. Whether an image is withheld depends on that
image, the training set and the baseline, and on no other synthetic image: the line that
Benjamini-Hochberg drew is kept as a p-value. The files are therefore read back, compared pixel by
pixel with what was audited, scored again among the same training images by the same `Scorer`, and
held against the same thresholds. A score that differs, or an image that would be withheld, stops
the release.

It gives no legal assessment, and it never releases a generator.
"""

from __future__ import annotations

from likeness._release.policy import ReleasePolicy, read_policy
from likeness._release.run import Release, release_images
from likeness._release.verification import ReleaseCheck, verify_release

__all__ = [
    "Release",
    "ReleaseCheck",
    "ReleasePolicy",
    "read_policy",
    "release_images",
    "verify_release",
]
