"""The release record: what was decided, by which rules, how well it was tested. Shareable.

Like the summary of an audit it is a whitelist: numbers, hashes, fixed words, the policy, and the
names of reviewers, who are named on purpose. No id, name or path of an image, file or patient, and
no free text of the findings, has a way in. Counts from 1 to 4 are not given, nor is a total from
which such a count could be subtracted.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from likeness._files import hash_of_json
from likeness._release.audit_settings import unusual_settings
from likeness._release.staging import IMAGES
from likeness._versions import package_version
from likeness.report.summary import SMALLEST_COUNT

if TYPE_CHECKING:
    from likeness._release.audit_folder import AuditContent
    from likeness._release.decisions import Decisions
    from likeness._release.encoding import Layout
    from likeness._release.policy import ReleasePolicy
    from likeness._release.quality import Jitter, Specificity
    from likeness._release.reviews import Review
    from likeness.datasets import ImageSet

FORMAT_NAME: Final = "likeness release record"
FORMAT_VERSION: Final = 1
NAME: Final = "release_record.json"
FEW: Final = f"fewer than {SMALLEST_COUNT}"

REASON_WORDS: Final[dict[str, str]] = {
    "flagged": "listed by the audit as a copy of a training image",
    "unusual": "unusually close to one training patient (wider list of the gate)",
    "registered": "after registration closer than nearly all real images of other people",
    "mirrored": "near-duplicate when mirrored",
    "rotated": "near-duplicate when turned",
    "shifted": "near-duplicate when shifted",
    "undefined": "without a score, so nobody can say whom it shows",
    "reviewed": "called a copy, or not cleared, by a person who looked at it",
    "not_reviewed": "just below a threshold, and cleared by nobody",
}

TESTED: Final = (
    "Every synthetic image was compared with every training image, as it is, in the flips and "
    "quarter turns that were searched, after registration, and tile by tile.",
    "What an image reaches was held against what training images reach among the images of other "
    "people.",
    "The released files were read back from the disk, compared pixel by pixel with the images "
    "that were audited, scored again, and judged again by the same thresholds.",
)

SELF_CHECKED: Final = (
    "The audit was tried on copies that it made itself, and on real pictures of other people."
)
NOT_SELF_CHECKED: Final = (
    "The audit itself: it was not tried on planted copies, so nobody knows which it would miss."
)

NOT_TESTED: Final = (
    "Whether a person can be recognised by other means than a copied picture; a trained network "
    "can link different pictures of one person.",
    "Alterations stronger than those listed, or of another kind.",
    "Attributes of patients that could be inferred from the images.",
    "The generator. It may have learned patients that these images do not show, and it is not "
    "part of this release.",
    "Images that the generator makes later.",
    "Training images that were not given to the audit.",
    "Annotation channels (labels), where there are any: they are handed on with the images and "
    "were not compared.",
)


def make_record(
    *,
    audit: AuditContent,
    synthetic: ImageSet,
    policy: ReleasePolicy,
    review: Review,
    decisions: Decisions,
    layout: Layout,
    images_sha256: str,
    specificity: Specificity | None,
    jitter: Jitter | None,
    not_checked: tuple[str, ...],
    date: str,
) -> dict[str, Any]:
    """Return the record, sealed with its own hash."""
    findings, limits = audit.findings, decisions.thresholds
    num_released = int(decisions.released.sum())
    withheld = len(decisions.reasons) - num_released
    # Line, copy rate and bounds are functions of how many were listed; see `bound`.
    few = 0 < withheld < SMALLEST_COUNT
    membership, rates = findings.membership, findings.rates
    content = {
        "format_name": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        "date": date,
        "likeness": package_version("likeness"),
        "policy": policy.to_dict(),
        "policy_sha256": policy.sha256,
        "weaker_than_default": policy.loosened(),
        "audit": {
            "sha256": audit.sha256,
            "findings_sha256": audit.findings_sha256,
            "verdict": findings.verdict.code,
            "likeness": findings.provenance.versions.get("likeness", ""),
            "training_images": suppressed(findings.counts.train),
            "training_patients": suppressed(findings.counts.train_patients),
            "unusual_settings": unusual_settings(findings.provenance.settings),
        },
        "numbers": {
            "released": num_released,
            "withheld": suppressed(withheld),
            "audited": None if few else len(decisions.reasons),
            "withheld_by_reason": {
                reason: suppressed(count) for reason, count in decisions.by_reason().items()
            },
            "innocent_expected": None
            if few
            else float(f"{decisions.innocent_expected(policy):.2g}"),
            "reviewed_by_people": suppressed(int(decisions.in_band.sum())),
        },
        "thresholds": {
            "p_value": None if few else limits.p_value,
            "false_discovery_rate": policy.fdr,
            "registered_similarity": limits.registered,
            "registered_quantile": policy.registered_quantile,
            "baseline_images": suppressed(len(audit.null)),
        },
        "reviewers": list(review.reviewers),
        "review_sha256": review.sha256 or None,
        "images": {
            "format": layout.format,
            "channels": list(layout.channels),
            "shape": list(synthetic.image_shape),
            "dtype": synthetic.dtype.name,
            "sha256": images_sha256,
        },
        "tested": [*TESTED, *([SELF_CHECKED] if findings.self_check.run else [])],
        "not_tested": [*([] if findings.self_check.run else [NOT_SELF_CHECKED]), *NOT_TESTED],
        "not_checked_again": list(not_checked),
        "sensitivity": [
            {
                "level": level.level,
                "alterations": level.words,
                "planted": level.planted,
                "caught": level.caught,
                "at_least": level.sensitivity_low,
                "rate_below": bound(level.rate_bound, 1 if few else 2),
            }
            for level in findings.self_check.levels
        ],
        "specificity": None
        if specificity is None
        else {
            "images": specificity.num_images,
            "passed": specificity.num_passed,
            "at_least": specificity.low,
        },
        "consistency": None
        if jitter is None
        else {
            "runs": jitter.result.num_runs,
            "images": jitter.num_images,
            "jaccard_mean": jitter.result.jaccard_mean,
            "jaccard_lowest": jitter.result.jaccard_lowest,
            "any_withheld": jitter.num_withheld > 0,
        },
        "copy_rate_below": bound(rates.copy_rate.high, 1 if few else 2),
        "membership_p": membership.p_value if membership.available else None,
    }
    return sealed(content)


def sealed(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with the hash of all the rest of it."""
    content = {key: value for key, value in record.items() if key != "record_sha256"}
    return {**content, "record_sha256": hash_of_json(content)}


def suppressed(number: int) -> int | str:
    """Return a count, or words for one from 1 to 4."""
    return FEW if 0 < number < SMALLEST_COUNT else number


def bound(rate: float | None, digits: int) -> float | None:
    """Return an upper limit with few digits, rounded up: it stays a limit and hides exact counts.

    Parameters
    ----------
    rate
        In [0, 1], or None.
    digits
        At least 1.
    """
    if rate is None or rate <= 0:
        return rate
    step = 10.0 ** (math.floor(math.log10(rate)) - digits + 1)
    return min(1.0, float(f"{math.ceil(rate / step - 1e-9) * step:.{digits}g}"))


def hash_of_images(files: dict[str, str]) -> str:
    """Return one hash of all image files, given the hash of each by name."""
    images = {name: digest for name, digest in files.items() if name.startswith(f"{IMAGES}/")}
    return hash_of_json(images)


def dataset_description() -> dict[str, Any]:
    """Return the ``dataset_description.json`` of a BIDS derivative."""
    version = package_version("likeness")
    return {
        "Name": "Synthetic images released by Likeness",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "likeness",
                "Version": version,
                "Description": "Copies of training images were looked for and withheld; "
                "see release_record.json and LIMITS.md.",
            }
        ],
        "SourceDatasets": [],
    }


def read_record(content: bytes) -> dict[str, Any]:
    """Return a record, or raise `ValueError` saying what is wrong with it."""
    record = json.loads(content)
    if not isinstance(record, dict) or record.get("format_name") != FORMAT_NAME:
        msg = "it is no release record"
        raise ValueError(msg)
    if record.get("format_version") != FORMAT_VERSION:
        msg = f"it has format_version {record.get('format_version')!r}, not {FORMAT_VERSION}"
        raise ValueError(msg)
    if sealed(record) != record:
        msg = "its own hash does not fit"
        raise ValueError(msg)
    return record
