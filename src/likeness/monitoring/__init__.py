"""Audit while training: when does a model begin to copy its patients?

    train, test --real_side--> what real images of other people reach; once
    samples, step --training_audit--> a `Check`: copies, verdict, mean highest correlation, baseline
      images.py            are these images like those of the sets?
      check.py             what a check says, as a line of JSON
      history.py           audits.jsonl: one line per step, repeated steps replaced
      progress_figure.py   progress.png: the loss, the correlations and the copies on one axis
    checkpoint --checkpoint_audit--> a model of `likeness.generators` draws, the above looks

The scores, the baseline, the control of errors and the verdict are those of `likeness.audit`, by
the same functions; a check lists what an audit of the same samples lists. It makes no report: for
pictures, audit the samples of that checkpoint.

Everything but `CheckpointAudit` works without any generator; nothing here imports torch.
"""

from __future__ import annotations

from likeness.monitoring.check import Check, CopyFound
from likeness.monitoring.checkpoint_audit import CheckpointAudit
from likeness.monitoring.images import to_8_bit
from likeness.monitoring.training_audit import TrainingAudit

__all__ = ["Check", "CheckpointAudit", "CopyFound", "TrainingAudit", "to_8_bit"]
