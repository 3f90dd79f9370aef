"""`likeness prepare`: `brats`, `cxr` and `images`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from likeness.cli._commands import VERBS, examples_text
from likeness.cli._options import Output, names_from, share_from
from likeness.cli._preparing import Making, carry_out
from likeness.datasets import (
    BratsOptions,
    ChestXrayOptions,
    PrepareOptions,
    prepare_brats,
    prepare_chest_xray,
    prepare_images,
)
from likeness.datasets.brats import plan_brats
from likeness.datasets.chest_xray import plan_chest_xray
from likeness.datasets.plain import plan_images
from likeness.datasets.transforms import Resampling
from likeness.errors import OptionError
from likeness.readers import ReadOptions

_VERB = next(verb for verb in VERBS if verb.name == "prepare")
app = App(
    name="prepare", help=_VERB.summary, help_format="markdown", help_prologue=examples_text(_VERB)
)


@app.command(sort_key=0)
def brats(
    source: Path,
    /,
    *,
    channels: str | None = None,
    size: int = 256,
    resize: int | None = None,
    resampling: Resampling = "bicubic",
    scaling: Literal["quantile", "maximum", "none"] = "quantile",
    quantile: float = 0.999,
    foreground_channel: str = "mean",
    foreground_threshold: float = 50.0,
    min_foreground: str = "15%",
    foreground_on: Literal["scaled", "raw"] = "scaled",
    missing_sequence: Literal["skip", "zero"] = "skip",
    missing_annotation: Literal["skip", "zero"] = "zero",
    labels: str | None = None,
    nan: Literal["refuse", "zero"] = "refuse",
    patient_id: str = "auto",
    making: Making,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Cut NIfTI volumes in the layout of BraTS into axial slices.

    The defaults are the paper's rules: a slice is kept if at least 15 % of its pixels exceed 50 in
    the mean of the image channels, after the 99.9 % quantile of each volume is scaled to 255;
    zero padding to 256; labels 1, 2, 4 become 51, 102, 204.

    Parameters
    ----------
    source
        Folder with files such as ID/ID_t1.nii.gz.
    channels
        Sequences in order, for example t1,flair,t1ce,seg; by default t1,t2,flair,t1ce and seg
        where there is one.
    size
        Rows and columns after padding.
    resize
        Rows and columns that the padded slices are then resized to, for example 64 for a small
        experiment; annotations take the nearest label.
    resampling
        Filter for resizing.
    scaling
        What becomes 255 in each volume: its quantile, its maximum, or nothing is scaled.
    quantile
        For scaling by quantile, between 0 and 1.
    foreground_channel
        Sequence that the foreground rule looks at, or mean.
    foreground_threshold
        Intensity that a foreground pixel exceeds.
    min_foreground
        Smallest share of foreground pixels in a slice, before padding.
    foreground_on
        Whether the rule sees intensities after or before scaling.
    missing_sequence
        Leave out a patient without one of the sequences, or fill it with zeros.
    missing_annotation
        The same for the annotation.
    labels
        Labels and their intensities, for example 1:51,2:102,4:204.
    nan
        Refuse volumes with NaN, or write zero there.
    patient_id
        Rule for the patient: auto, parent-folder, brats, regex:(...), column:NAME, bids.
    """
    options = BratsOptions(
        **making.source_options(),
        patient_id=patient_id,
        read=ReadOptions(nan=nan),
        channels=names_from(channels),
        size=size,
        resize=resize,
        resampling=resampling,
        scaling=scaling,
        quantile=quantile,
        foreground_channel=foreground_channel,
        foreground_threshold=foreground_threshold,
        min_foreground=share_from(min_foreground, "--min-foreground"),
        foreground_on=foreground_on,
        missing_sequence=missing_sequence,
        missing_annotation=missing_annotation,
        labels=_labels_from(labels),
    )
    return carry_out(
        source,
        making,
        output,
        plan=lambda: plan_brats(source, options, output.make_progress()),
        make=lambda rule: prepare_brats(
            source, making.out, options=options, split=rule, progress=output.make_progress()
        ),
    )


@app.command(sort_key=1)
def cxr(
    source: Path,
    /,
    *,
    size: int = 256,
    resampling: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "bicubic",
    grey: Literal["collapse", "luma"] = "collapse",
    patient_id: str = "cxr",
    making: Making,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Turn chest X-rays of mixed sizes into grey 8-bit images of one size.

    Parameters
    ----------
    source
        Folder with JPEG or PNG files, for example NORMAL/ and PNEUMONIA/.
    size
        Rows and columns.
    resampling
        Filter for resizing.
    grey
        RGB files: take those that are really grey, or turn all to grey.
    patient_id
        Rule for the patient: cxr, auto, parent-folder, regex:(...), column:NAME.
    """
    options = ChestXrayOptions(
        **making.source_options(),
        patient_id=patient_id,
        size=size,
        resampling=resampling,
        grey=grey,
    )
    return carry_out(
        source,
        making,
        output,
        plan=lambda: plan_chest_xray(source, options, output.make_progress()),
        make=lambda rule: prepare_chest_xray(
            source, making.out, options=options, split=rule, progress=output.make_progress()
        ),
    )


@app.command(sort_key=2)
def images(
    source: Path,
    /,
    *,
    sequences: str = "auto",
    channels: str | None = None,
    resize: str | None = None,
    resampling: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "bicubic",
    grey: Literal["keep", "collapse", "luma"] = "keep",
    intensity_range: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    nan: Literal["refuse", "zero"] = "refuse",
    frames: Literal["single", "all"] = "single",
    tiff_pages: Literal["ask", "channels", "images"] = "ask",
    array_layout: str = "auto",
    array_name: str | None = None,
    volume: int | None = None,
    patient_id: str = "auto",
    making: Making,
    output: Output = Output(),  # noqa: B008 - frozen
) -> int:
    """Turn any readable images into an image set; no pixel is changed unless asked.

    Parameters
    ----------
    source
        A folder, or one ZIP, NPY, NPZ, NIfTI or image file.
    sequences
        Whether sibling files are the channels of one image: auto, paper, brats, a pattern such
        as {id}_{channel}.png, or none.
    channels
        Channels wanted, in order, for example t1,flair.
    resize
        Rows and columns, for example 256 or 256x192.
    resampling
        Filter for resizing.
    grey
        RGB images: keep them, collapse those that are really grey, or take the luma of all.
    intensity_range
        Intensities to map to 0..255 in 8 bits, for example 0,4095.
    nan
        Refuse images with NaN, or write zero there.
    frames
        Refuse files of several frames, or take each as an image.
    tiff_pages
        Several pages in a TIFF: refuse, take them as channels, or as images.
    array_layout
        Axes of NPY and NPZ arrays: auto, nhwc, nchw, nhw, hwc, chw, hw.
    array_name
        Which array of an NPZ, where several could be images.
    volume
        Which volume of a 4-D NIfTI, from 0.
    patient_id
        Rule for the patient: auto, none, parent-folder, bids, brats, cxr,
        regex:(...), column:NAME.
    """
    options = PrepareOptions(
        **making.source_options(),
        patient_id=patient_id,
        read=ReadOptions(
            nan=nan,
            frames=frames,
            tiff_pages=tiff_pages,
            array_layout=array_layout,  # type: ignore[arg-type] # checked there, with the list
            array_name=array_name,
            volume_index=volume,
            strict=making.strict,
        ),
        sequences=None if sequences == "none" else sequences,
        channels=names_from(channels),
        size=_size_from(resize),
        resampling=resampling,
        grey=grey,
        intensity_range=_range_from(intensity_range),
    )
    return carry_out(
        source,
        making,
        output,
        plan=lambda: plan_images(source, options, output.make_progress()),
        make=lambda rule: prepare_images(
            source, making.out, options=options, split=rule, progress=output.make_progress()
        ),
    )


def _labels_from(text: str | None) -> dict[int, int] | None:
    if text is None:
        return None
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return {int(label): int(intensity) for label, intensity in pairs}
    except ValueError as error:
        msg = f"--labels is {text!r}; give pairs such as 1:51,2:102,4:204."
        raise OptionError(msg) from error


def _size_from(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if not all(part.strip().isdigit() for part in parts) or len(parts) > 2:
        msg = f"--resize is {text!r}; give rows and columns such as 256 or 256x192."
        raise OptionError(msg)
    rows = int(parts[0])
    return rows, int(parts[-1])


def _range_from(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        msg = f"--intensity-range is {text!r}; give two numbers such as 0,4095."
        raise OptionError(msg) from error
    return low, high
