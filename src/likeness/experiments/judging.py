"""Stages that judge samples as a user would: the audit, and the quality as a set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from likeness._audit import AuditOptions, audit
from likeness._files import sha256_of_file, write_json
from likeness.datasets import ImageSet
from likeness.experiments.configurations import Configuration, Run
from likeness.experiments.images import held_out_images, training_images
from likeness.experiments.stages import Stage, Task

VERDICT = "verdict.json"
EVALUATION = "evaluation.json"


def audit_stage(configuration: Configuration, run: Run) -> Stage:
    """Return the stage ``audit/RUN``: verdict, copies and a report with pictures."""
    data = configuration.data_named(run.data)

    def work(task: Task) -> str:
        needed = dict(task.needed)
        findings = audit(
            training_images(data, needed),
            ImageSet.open(needed[f"sample/{run.name}"] / "set"),
            held_out_images(data, needed),
            out=task.folder / "audit",
            options=AuditOptions(),
            overwrite=True,
            progress=task.progress,
        )
        path = task.folder / VERDICT
        write_json(
            path,
            {
                "verdict": findings.verdict.code,
                "synthetic": findings.counts.synthetic,
                "copies": findings.counts.flagged,
                "patients": findings.counts.patients,
            },
        )
        return sha256_of_file(path)

    return Stage(
        f"audit/{run.name}",
        {},
        work,
        (f"prepare/{data.source}", f"data/{data.name.lower()}", f"sample/{run.name}"),
        ("likeness", "numpy", "scipy"),
    )


def evaluate_stage(configuration: Configuration, run: Run, inception: Path | None) -> Stage:
    """Return the stage ``evaluate/RUN``: quality of the samples as a set.

    FID and inception score are measured as the paper does, against the training images, where the
    weights of the network are given. The Fréchet distance that the rules look at is that to the
    held-out images, on principal components of the training images, which need no weights.
    """
    data = configuration.data_named(run.data)

    def work(task: Task) -> str:
        from likeness.metrics.inception import InceptionFeatures
        from likeness.metrics.options import EvaluateOptions
        from likeness.metrics.principal_components import PrincipalComponents
        from likeness.metrics.run import evaluate as evaluate_images

        needed = dict(task.needed)
        train, test = training_images(data, needed), held_out_images(data, needed)
        samples = ImageSet.open(needed[f"sample/{run.name}"] / "set")
        options = EvaluateOptions(channel_mode="together")
        components = PrincipalComponents().fit(_pictures(train))
        told: dict[str, Any] = {}
        held_out = evaluate_images(
            test, samples, extractors=[components], options=options, progress=task.progress
        )
        held_out.write(task.folder / "held-out")
        for name in ("frechet_distance", "precision", "recall"):
            told[name] = asdict(held_out.find(name))
        if inception is not None:
            found = evaluate_images(
                train,
                samples,
                test=test,
                extractors=[InceptionFeatures(inception)],
                progress=task.progress,
            )
            found.write(task.folder / "training")
            told["fid"] = asdict(found.find("frechet_distance"))
            told["fid_held_out"] = asdict(found.find("frechet_distance", compared="test"))
            told["inception_score"] = asdict(found.find("inception_score"))
        path = task.folder / EVALUATION
        write_json(path, told)
        return sha256_of_file(path)

    return Stage(
        f"evaluate/{run.name}",
        {"inception": None if inception is None else sha256_of_file(inception)},
        work,
        (f"prepare/{data.source}", f"data/{data.name.lower()}", f"sample/{run.name}"),
        ("likeness", "torch", "torchmetrics"),
    )


def _pictures(images: ImageSet) -> ImageSet:
    names = [name for name in images.channels if name not in images.annotation_channels]
    return images if len(names) == len(images.channels) else images.select_channels(names)
