"""The answer to one patient, in sentences that can be repeated as they stand."""

from __future__ import annotations

from typing import Any, Final

from likeness.report import text

LIMITS: Final = (
    "Only whole pictures were compared, as they are and in quarter turns and mirror images. Copies "
    "that are shifted, zoomed, turned by other angles, or of a part of a picture are looked for by "
    "`likeness audit`, not here.",
    "Only the patient's images in the training set were compared. Images that were left out when "
    "the set was prepared, other slices or other examinations were not.",
    "A high correlation alone is no copy: smooth pictures of the same kind are alike. What counts "
    "is whether this patient is closer than other people are. The verdict is that of an audit.",
    "That nothing stands out does not prove that the generator learned nothing from this patient, "
    "and says nothing about further images of it.",
    "A person can be recognised by other things than pixels that correlate, for example by a rare "
    "finding.",
)


def heading(record: dict[str, Any]) -> str:
    """Return the one line on top."""
    return f"What resembles patient {record['patient_id']}"


def sentences(summary: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """Return the answer: what was compared, how close, how often nearest, what chance gives."""
    return [
        _compared(summary, record),
        *_equal(record),
        _closest(summary, record),
        _nearest(summary, record),
        _chance(summary, record),
    ]


def _compared(summary: dict[str, Any], record: dict[str, Any]) -> str:
    done = summary["compared"]
    left = done["undefined_queries"]
    constant = f"; {text.many(left, 'image')} without contrast could not be compared" * bool(left)
    count = record["images"]
    images = "the only training image" if count == 1 else f"all {count:,} training images"
    return (
        f"All {text.many(done['queries'], 'synthetic image')} were compared with {images} of this "
        "patient, in "
        f"{len(done['transforms'])} flips and turns{constant}."
    )


def _equal(record: dict[str, Any]) -> list[str]:
    number = record["equal_pixels"]
    if not number:
        return []
    return [
        f"{text.many(number, 'synthetic image')} {'has' if number == 1 else 'have'} the very "
        "pixels of a training image of this patient."
    ]


def _closest(summary: dict[str, Any], record: dict[str, Any]) -> str:
    if record["highest_correlation"] is None:
        return "None could be compared: all are without contrast."
    rank = record["rank_there"]
    listed = summary["compared"]["patients_listed"]
    among = text.many(summary["compared"]["patients"], "patient")
    following = record["next_correlation"]
    if rank == 1:
        place = f"this patient is the nearest of {among}"
        if following is not None:
            place += f", the next reaches {text.correlation(following)}"
    elif rank is None:
        place = f"but this patient is not even among the nearest {listed} of {among}"
    else:
        place = (
            f"but {rank - 1} of {among} {_are(rank - 1)} nearer, the nearest with "
            f"{text.correlation(following)}"
        )
    return (
        f"The closest is {record['image_id']} with {record['reference_id']}: r = "
        f"{text.correlation(record['highest_correlation'])}; {place}."
    )


def _nearest(summary: dict[str, Any], record: dict[str, Any]) -> str:
    nearest = record["nearest_of"]
    others = summary["nearest_of"]
    number = text.many(nearest, "synthetic image") if nearest else "no synthetic image"
    return (
        f"This patient is the nearest of all for {number}; {record['nearest_expected']:.1f} would "
        "be the share by the number of training images. All patients: median "
        f"{others['median']:g}, at most {others['maximum']}."
    )


def _chance(summary: dict[str, Any], record: dict[str, Any]) -> str:
    number, size = record["yardstick_at_least"], record["yardstick_patients"]
    if number is None or not size:
        return "There is nobody to compare with: it cannot be said what chance gives."
    held_out = summary["yardstick"]["people"] == "test"
    who = (
        f"Of {text.many(size, 'person', 'people')} who were not used for training"
        if held_out
        else f"Of the {text.many(size, 'other training patient')}"
    )
    found = f"{text.count(number) if number else 'none'} {'comes' if number <= 1 else 'come'}"
    line = f"{who}, {found} as close to a synthetic image as this patient does"
    if held_out:
        least = ", the least that so few people allow" * (number == 0)
        line += f" (p = {record['p_value']:.3g}{least})."
    else:
        line += "; they were used for training too, so this is no measure of chance. Give --test."
    images, usual = record["images"], summary["yardstick"]["median_images"]
    if images > 2 * usual:
        line += (
            f" This patient has {text.count(images)} images, those people {usual:g} in the median: "
            "more images come closer by chance alone."
        )
    elif usual > 2 * images:
        line += (
            f" This patient has {text.many(images, 'image')} only, those people {usual:g} in the "
            "median, which come closer by chance alone: a likeness may be hidden by that."
        )
    return line


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
