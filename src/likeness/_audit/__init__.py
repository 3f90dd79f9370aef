"""The audit: three sets of images in, `Findings` and a report out.

```
train, synthetic, test     paths, image sets or arrays
  inputs.py       opened or prepared; shapes and channels must agree
  comparisons.py  test -> train, train -> train (own patient left out),
                  synthetic -> train, synthetic -> test: exact search, resumable
  duplicates.py   equal and almost equal images that spoil a baseline
  yardstick.py    which comparison is the baseline, and why
  checks.py       can this audit be trusted?
  evidence.py     the pictures of the worst pairs
  assemble.py     everything into `Findings`
  methods.py      the same in words
  folder.py       the output folder: settings, lock, what may be overwritten
  run.py          the order of all this
```

The audit decides nothing itself (`likeness.calibration` does) and draws nothing itself
(`likeness.report` does).
"""

from __future__ import annotations

from likeness._audit.folder import require_complete
from likeness._audit.options import AuditOptions
from likeness._audit.plan import AuditPlan, plan_audit
from likeness._audit.run import audit

__all__ = ["AuditOptions", "AuditPlan", "audit", "plan_audit", "require_complete"]
