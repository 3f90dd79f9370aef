"""`likeness evaluate`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from likeness._files import is_inside
from likeness.cli._console import say
from likeness.cli._options import Output, names_from, share_from
from likeness.errors import OptionError

if TYPE_CHECKING:
    from likeness.metrics.features import FeatureExtractor, FeatureRecipe

FEATURES = ("pca", "inception", "onnx", "autoencoder")
SOME_LEFT_OUT = 5


def evaluate(
    *,
    real: Path,
    synthetic: Path,
    test: Path | None = None,
    out: Path | None = None,
    features: str | None = None,
    components: int = 64,
    inception: Path | None = None,
    inception_sha256: str | None = None,
    device: str = "auto",
    autoencoder: Path | None = None,
    onnx: Path | None = None,
    onnx_size: int | None = None,
    onnx_scale: float = 1 / 255,
    onnx_mean: str = "0",
    onnx_std: str = "1",
    onnx_classes: Literal["none", "logits", "probabilities"] = "none",
    channels: str | None = None,
    annotations: Annotated[bool, Parameter(negative="")] = False,
    channel_mode: Literal["auto", "apart", "together"] = "auto",
    neighbours: int = 5,
    bootstrap: int = 200,
    seed: int = 0,
    cache: Path | None = None,
    patient_id: str = "auto",
    manifest: Path | None = None,
    max_skipped: str = "1%",
    jobs: int = 1,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Measure how close synthetic images come to real ones as a set: FID and its relatives.

    They say nothing about copies: a generator that hands back its training images does best.
    Give --test, so that the numbers have something to be held against.

    Parameters
    ----------
    real
        The images that the model was trained on: a folder or an image set. 8 bits.
    synthetic
        The synthetic images, of the same shape and channels.
    test
        Held-out real images: the numbers of a perfect generator.
    out
        Folder for evaluation.json, and for the features, which are then not computed again.
    features
        pca, inception, autoencoder, onnx, or several of them: pca,inception. By default those whose
        files are given, or pca.
    components
        Principal components of the pixels that pca takes.
    inception
        The weights of the FID network, pt_inception-2015-12-05-6726825d.pth. Nothing is fetched.
    inception_sha256
        For other weights: the SHA-256 of the file, or "any".
    device
        That computes Inception and the autoencoder: auto, cpu, cuda, cuda:1 and so on.
    autoencoder
        Folder that `likeness autoencoder` wrote.
    onnx
        An encoder as an ONNX file: one input (batch, channels, rows, columns).
    onnx_size
        Side in pixels to which images are resized for it.
    onnx_scale
        Factor of the 8-bit pixels, before mean and deviation.
    onnx_mean
        Subtracted: one number, or one per channel as in 0.485,0.456,0.406.
    onnx_std
        Divided by: one number, or one per channel.
    onnx_classes
        What the second output of the encoder holds, for the inception score.
    channels
        To evaluate, as in t1,flair; by default all but annotations.
    annotations
        Evaluate annotation channels too.
    channel_mode
        apart: one channel at a time, and the mean; together: all at once; auto: at once where the
        features take just as many channels, apart otherwise.
    neighbours
        For precision, recall, density and coverage.
    bootstrap
        Draws behind each interval; 0 for none.
    seed
        Of the draws.
    cache
        Folder in which features are kept; by default features/ in --out. They are data of patients.
    patient_id
        Rule for the patients of real images; see `likeness audit --help`.
    manifest
        CSV with the column that --patient-id names.
    max_skipped
        Share of files per set that may be left out.
    jobs
        Processes that decode files.
    overwrite
        Replace another evaluation in --out.
    dry_run
        Say what would be computed; write nothing.
    """
    from likeness.metrics.evaluation import FILE
    from likeness.metrics.options import EvaluateOptions
    from likeness.metrics.plan import describe, planned
    from likeness.metrics.run import evaluate as run_evaluation
    from likeness.metrics.wording import table_lines

    options = EvaluateOptions(
        channels=names_from(channels),
        annotations=annotations,
        channel_mode=channel_mode,
        k=neighbours,
        bootstrap=bootstrap,
        seed=seed,
        patient_id=patient_id,
        manifest=manifest,
        max_skipped=share_from(max_skipped, "--max-skipped"),
        jobs=jobs,
    )
    if out is not None:
        for given in (real, synthetic, test):
            if given is not None and is_inside(out, given):
                msg = f"--out {str(out)!r} lies inside {str(given)!r}, which is read."
                raise OptionError(msg)
        if (out / FILE).exists() and not overwrite:
            msg = (
                f"{str(out)!r} holds an evaluation. Choose another --out, or give --overwrite to "
                "replace it."
            )
            raise OptionError(msg)
    wanted = _wanted(features, {"inception": inception, "onnx": onnx, "autoencoder": autoencoder})
    extractors: list[FeatureExtractor | FeatureRecipe] = []
    for name in wanted:
        if name == "pca":
            from likeness.metrics.principal_components import PrincipalComponents

            extractors.append(PrincipalComponents(components=components))
        elif name == "inception" and inception is not None:
            extractors.append(_inception(inception, inception_sha256, device))
        elif name == "autoencoder" and autoencoder is not None:
            from likeness._devices import device_named
            from likeness.metrics.autoencoder import open_autoencoder

            extractors.append(open_autoencoder(autoencoder, device=device_named(device)))
        elif name == "onnx" and onnx is not None:
            from likeness.metrics.onnx_features import OnnxFeatures, OnnxInput

            encoder_input = OnnxInput(
                size=onnx_size,
                scale=onnx_scale,
                mean=_numbers(onnx_mean, "--onnx-mean"),
                std=_numbers(onnx_std, "--onnx-std"),
            )
            classes = None if onnx_classes == "none" else onnx_classes
            extractors.append(OnnxFeatures(onnx, given=encoder_input, classes=classes))
    progress = output.make_progress()
    if dry_run:
        with planned(
            real, synthetic, test, extractors=extractors, options=options, progress=progress
        ) as plan:
            about = describe(plan, options)
        if output.json:
            say(json_module.dumps(about, indent=2, sort_keys=True))
        else:
            say(
                *(
                    f"{role:<11}{found['images']:,} images {found['shape']}"
                    for role, found in about["sets"].items()
                ),
                *(f"features   {one['name']}: {one['channels']}" for one in about["features"]),
                f"bootstrap  {bootstrap} draws",
                "nothing was computed, nothing was written",
            )
        return 0
    if cache is None and out is not None:
        cache = out / "features"
    result = run_evaluation(
        real,
        synthetic,
        test=test,
        extractors=extractors,
        options=options,
        cache=cache,
        progress=progress,
    )
    written = None if out is None else result.write(out)
    if output.json:
        say(json_module.dumps(result.to_json(), indent=2, sort_keys=True))
    else:
        say(*table_lines(result))
        if written is not None:
            say(f"wrote      {written}")
    return SOME_LEFT_OUT if any(found["left_out"] for found in result.sets.values()) else 0


def _wanted(features: str | None, files: dict[str, Path | None]) -> list[str]:
    """Return the names of the features that are asked for."""
    given = [name for name, path in files.items() if path is not None]
    named = names_from(features)
    if named is None:
        return given or ["pca"]
    unknown = [name for name in named if name not in FEATURES]
    if unknown or not named or len(set(named)) != len(named):
        msg = f"--features is {features!r}; give some of {', '.join(FEATURES)}, each once."
        raise OptionError(msg)
    for name, path in files.items():
        if (name in named) != (path is not None):
            msg = (
                f"--features {features} needs --{name} FILE."
                if path is None
                else f"--{name} is given, but --features {features} does not name it."
            )
            raise OptionError(msg)
    return list(named)


def _inception(weights: Path, sha256: str | None, device: str) -> FeatureExtractor:
    from likeness.metrics.inception import KNOWN_SHA256, InceptionFeatures

    expected = KNOWN_SHA256 if sha256 is None else None if sha256 == "any" else sha256
    return InceptionFeatures(weights, sha256=expected, device=device)


def _numbers(text: str, flag: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        msg = f"{flag} is {text!r}; give one number, or one per channel as in 0.485,0.456,0.406."
        raise OptionError(msg) from error
