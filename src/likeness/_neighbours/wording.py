"""What the numbers mean, in sentences that can be repeated as they stand."""

from __future__ import annotations

from typing import Any, Final

from likeness.report import text

LIMITS: Final = (
    "Images of one patient are not compared with each other, except for equal pixels: neighbouring "
    "slices are alike, and no finding.",
    "Who is one person is judged by shared pictures only. Two different pictures of one person "
    "under two ids (another day, another slice) are not found; on brain slices they may be among "
    "the nearest images, on X-rays hardly ever.",
    "Pictures are compared as they are and in quarter turns and mirror images. Shifted, zoomed, "
    "rotated by other angles, or partly equal pictures are found only as far as they stay above "
    "the limit.",
    "Almost equal is not the same: pictures with little structure (the outermost slices, empty "
    "fields) are almost equal in different people. Look at the pairs.",
    "Files that were left out were not compared. Constant images have no correlation; they are "
    "counted, and compared with nothing.",
)


def sentences(summary: dict[str, Any]) -> list[str]:
    """Return what was found: one sentence each for pixels, pictures, people."""
    across = summary["against"] is not None
    known = bool(summary["set"]["patients"])
    lines = [
        _equal(summary["equal"], across=across),
        _near(summary["near"], across=across, known=known),
    ]
    lines += _people(summary, across=across)
    if summary["pictures"] is not None:
        lines.append(_pictures(summary))
    return lines


def heading(summary: dict[str, Any]) -> str:
    """Return the one line on top."""
    patients = summary["patients"]
    if patients["shared"]:
        return f"{text.many(patients['shared'], 'patient')} in both sets"
    if patients["one_person"]:
        across = summary["against"] is not None
        return f"{text.many(patients['one_person'], 'person', 'people')} " + (
            "in both sets under different ids" if across else "under several ids"
        )
    pairs = summary["equal"]["pairs"] + summary["near"]["pairs"]
    if pairs:
        return f"{text.many(pairs, 'pair')} of equal or almost equal images"
    return "Nothing found twice"


def compared(summary: dict[str, Any]) -> str:
    """Return what was compared."""
    done = summary["compared"]
    first = summary["set"]
    patients = f" of {text.many(first['patients'], 'patient')}" if first["patients"] else ""
    whole = f"{text.many(first['images'], 'image')}{patients}"
    if summary["against"] is not None:
        other = summary["against"]
        of = f" of {text.many(other['patients'], 'patient')}" if other["patients"] else ""
        whole += f" with {text.many(other['images'], 'image')}{of}"
    else:
        whole += " with each other"
    left = f"; {text.many(done['undefined'], 'constant image')} left out" * bool(done["undefined"])
    own = "" if not first["patients"] else ", no patient with themselves"
    return (
        f"{whole}: all {text.count(done['pairs_full_size'])} pairs{own}, in "
        f"{len(done['transforms'])} flips and turns{left}."
    )


def highest(summary: dict[str, Any]) -> str:
    """Return the distribution of the highest correlations."""
    values = summary["highest_correlation"]
    if not values["images"]:
        return "No image could be compared."
    whose = "of another patient" if summary["set"]["patients"] else "of the others"
    return (
        f"The most similar image {whose} has r = {text.correlation(values['median'])} in the "
        f"median, {text.correlation(values['quantile_99'])} at 99 %, "
        f"{text.correlation(values['maximum'])} at most (full size)."
    )


def _equal(found: dict[str, Any], *, across: bool) -> str:
    if not found["pairs"]:
        return "No two images have equal pixels."
    where = "of the other set" if across else "of the set"
    line = (
        f"{text.many(found['images'], 'image')} {'has' if found['images'] == 1 else 'have'} "
        f"the very pixels of another image {where}"
    )
    return f"{line}{_between(found)}."


def _near(found: dict[str, Any], *, across: bool, known: bool) -> str:
    limit = f"r at least {found['limit']:g} at 64 x 64"
    if not found["pairs"]:
        whose = " of different patients" * known
        which = "image of one set and image of the other" if across else "two images"
        return f"No further {which}{whose} are almost equal ({limit})."
    one = found["pairs"] == 1
    same = found["practically_equal"]
    whose = "different patients" if known else "images" if across else "different images"
    line = (
        f"{text.many(found['pairs'], 'pair')} of {whose} {'is' if one else 'are'} almost equal "
        f"({limit}); {text.count(same) if same else 'none'} of them {'is' if same <= 1 else 'are'} "
        "practically the same picture (at least 0.999)."
    )
    if found["images_not_finished"]:
        line += (
            f" {text.many(found['images_not_finished'], 'image')} have more than 10,000 such "
            "partners: not all of theirs are counted."
        )
    return line


def _between(found: dict[str, Any]) -> str:
    parts = []
    if found["pairs_between_patients"]:
        parts.append(f"{text.many(found['pairs_between_patients'], 'pair')} of different patients")
    if found["pairs_within_patients"]:
        parts.append(f"{text.many(found['pairs_within_patients'], 'pair')} within one patient")
    return f" ({', '.join(parts)})" if parts else ""


def _people(summary: dict[str, Any], *, across: bool) -> list[str]:
    found = summary["patients"]
    if not summary["set"]["patients"]:
        return []
    if across:
        lines = [
            f"{text.many(found['shared'], 'patient')} of the set "
            f"{'is' if found['shared'] == 1 else 'are'} in the other set by name."
            if found["shared"]
            else "No patient is in both sets by name."
        ]
        if found["one_person"]:
            lines.append(
                f"{text.many(found['one_person'], 'pair')} of patients, one of each set, share a "
                "picture under different ids: probably the same person."
            )
        return lines
    if not found["one_person"]:
        return ["No two patients share a picture."]
    return [
        f"{text.many(found['one_person'], 'group')} of patients share a picture: probably "
        f"{'one person' if found['one_person'] == 1 else 'one person each'} under several ids."
    ]


def _pictures(summary: dict[str, Any]) -> str:
    found, number = summary["pictures"], summary["set"]["images"]
    if found["different"] == number:
        return f"All {text.count(number)} images are different pictures."
    return (
        f"{text.count(number)} images show {text.many(found['different'], 'different picture')}; "
        f"the one shown most often is there {text.count(found['most_often'])} times."
    )
