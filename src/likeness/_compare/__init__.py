"""Any number of finished audits beside each other: one table, one page, one figure.

```
audit folders
  reading.py      files against the audit's own checksums; the highest correlation of every image
  rows.py         a row per audit: what the audit found, and means, gap, AUC with intervals
  differences.py  what is not the same in all of them; unlike images are refused
  comparison.py   the order of this
  notices.py      what must not be concluded from these rows
  wording.py      rows as text: terminal, page
  charts.py, page.py, figure.py, writing.py    comparison.json, .csv, .html, .png, .pdf
```

Nothing is searched again, and nothing written here names a patient or an image: the numbers may be
handed on where the reports of the audits may not. It decides nothing: the verdicts are those of the
audits, and unlike audits are refused or their differences are listed, never averaged away.

Maxima over different numbers of patients are never set against each other. The gap, the AUC and the
share above hold synthetic images against real ones in the *same* training set; synthetic -> train
against synthetic -> test is given as the audit stored it, at equal numbers of patients.
"""

from __future__ import annotations

from likeness._compare.comparison import Comparison, compare_audits
from likeness._compare.rows import Row
from likeness._compare.writing import write_comparison

__all__ = ["Comparison", "Row", "compare_audits", "write_comparison"]
