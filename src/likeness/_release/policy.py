"""The rules of a release, as a person writes them down in TOML.

A key that is not known is refused: a misspelt rule would otherwise not be applied, and nobody
would notice.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from likeness._files import hash_of_json
from likeness.errors import InputError, OptionError

FORMAT_VERSION: Final = 1
TRANSFORM_KINDS: Final = ("mirrored", "rotated", "shifted")

_SECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "image": ("fdr", "registered_quantile", "withhold_transforms", "review_band"),
    "set": ("max_copy_rate", "max_images_per_patient", "no_training_signal"),
    "require": (
        "patient_disjoint",
        "complete_search",
        "self_check",
        "conclusive",
        "min_baseline_images",
        "max_skipped_train",
    ),
    "approve": ("names",),
}


@dataclass(frozen=True, kw_only=True)
class ReleasePolicy:
    """What a set must meet to be released, and which images are withheld from it.

    Raises
    ------
    OptionError
        If a value is out of range or of the wrong type.
    """

    fdr: float = 0.20
    """False discovery rate at which images are withheld as unusually close; in (0, 1). Higher
    withholds more."""
    registered_quantile: float = 0.999
    """Images are withheld whose similarity after registration (r of slopes) exceeds this quantile
    of what real images of other people reach; in (0, 1]."""
    withhold_transforms: tuple[str, ...] = TRANSFORM_KINDS
    """Kinds of near-duplicate that are withheld: mirrored, rotated, shifted."""
    review_band: float = 0.005
    """Images up to this far below the threshold of the registered similarity (in r) need a human
    decision; at least 0."""
    max_copy_rate: float = 0.05
    """Highest share of copies in the audited set; above it nothing is released. In [0, 1]."""
    max_images_per_patient: int = 3
    """Most copies of one patient; above it nothing is released. At least 0."""
    no_training_signal: bool = True
    """Whether a set is held back that, as a whole, points to its training patients though no copy
    can be named: nobody knows which images to leave out."""
    patient_disjoint: bool = True
    """Whether train and test must not share a patient or an equal image."""
    complete_search: bool = True
    """Whether every pair must have been compared."""
    self_check: bool = True
    """Whether the audit must have passed its self-check."""
    conclusive: bool = True
    """Whether the verdict of the audit must be another one than INCONCLUSIVE."""
    min_baseline_images: int = 200
    """Fewest training images behind the p-values."""
    max_skipped_train: int = 0
    """Most training files that could not be read."""
    approvers: tuple[str, ...] = ()
    """People who must all have approved the release and judged every image in the review band;
    ``names`` in the file."""

    def __post_init__(self) -> None:
        """Check the values."""
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name))
        _require("fdr", self.fdr, 0 < self.fdr < 1, "between 0 and 1, both excluded")
        quantile = self.registered_quantile
        _require("registered_quantile", quantile, 0 < quantile <= 1, "above 0, at most 1")
        _require("review_band", self.review_band, 0 <= self.review_band <= 2, "between 0 and 2")
        rate = self.max_copy_rate
        _require("max_copy_rate", rate, 0 <= rate <= 1, "between 0 and 1")
        for name in ("max_images_per_patient", "min_baseline_images", "max_skipped_train"):
            _require(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        for kind in self.withhold_transforms:
            if kind not in TRANSFORM_KINDS:
                msg = (
                    f"withhold_transforms names {kind!r}; the kinds are "
                    f"{', '.join(TRANSFORM_KINDS)}.{_meant(kind, TRANSFORM_KINDS)}"
                )
                raise OptionError(msg)
        if any(not name.strip() for name in self.approvers):
            msg = "names holds an empty name; write who has to approve, or leave it out."
            raise OptionError(msg)

    @property
    def sha256(self) -> str:
        """Hash of all values; equal policies have equal hashes, however they were written."""
        return hash_of_json(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the policy in the sections of the file."""
        return {
            "format_version": FORMAT_VERSION,
            **{
                section: {key: _plain(getattr(self, _field(key))) for key in keys}
                for section, keys in _SECTIONS.items()
            },
        }

    def loosened(self) -> list[str]:
        """Return the rules that are weaker than the defaults, as ``name = value (default)``."""
        usual = ReleasePolicy()
        weaker = {
            "fdr": self.fdr < usual.fdr,
            "registered_quantile": self.registered_quantile > usual.registered_quantile,
            "withhold_transforms": bool(
                set(usual.withhold_transforms) - set(self.withhold_transforms)
            ),
            "review_band": self.review_band < usual.review_band,
            "max_copy_rate": self.max_copy_rate > usual.max_copy_rate,
            "max_images_per_patient": self.max_images_per_patient > usual.max_images_per_patient,
            "min_baseline_images": self.min_baseline_images < usual.min_baseline_images,
            "max_skipped_train": self.max_skipped_train > usual.max_skipped_train,
            **{
                name: not getattr(self, name)
                for name in (
                    "no_training_signal",
                    "patient_disjoint",
                    "complete_search",
                    "self_check",
                    "conclusive",
                )
            },
        }
        return [
            f"{name} = {_shown(getattr(self, name))} (default {_shown(getattr(usual, name))})"
            for name, is_weaker in weaker.items()
            if is_weaker
        ]


def read_policy(path: Path | str) -> ReleasePolicy:
    """Read a policy from a TOML file; what it does not say has its default.

    Raises
    ------
    InputError
        If there is no such file.
    OptionError
        If it is not TOML, has another format version, a key that is not known, or a value that is
        out of range.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"The policy {str(path)!r} cannot be read: {error.strerror}."
        raise InputError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"The policy {str(path)!r} is not UTF-8 text: {error}."
        raise OptionError(msg) from error
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        msg = f"The policy {str(path)!r} is not TOML: {error}."
        raise OptionError(msg) from error
    return policy_from_dict(content, where=str(path))


def policy_from_dict(content: dict[str, Any], *, where: str) -> ReleasePolicy:
    """Make a policy of the content of a file; `where` is named in errors."""
    version = content.get("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION or isinstance(version, bool):
        msg = f"{where!r} has format_version {version!r}; this Likeness reads {FORMAT_VERSION}."
        raise OptionError(msg)
    values: dict[str, Any] = {}
    for section, keys in content.items():
        if section == "format_version":
            continue
        if section not in _SECTIONS:
            home = next((s for s, known in _SECTIONS.items() if section in known), None)
            hint = f" It belongs into [{home}]." if home else _meant(section, _SECTIONS)
            msg = (
                f"{where!r} has {section!r} at its top; the sections are "
                f"{', '.join(_SECTIONS)}.{hint}"
            )
            raise OptionError(msg)
        if not isinstance(keys, dict):
            msg = f"{where!r}: {section!r} must be a section, written as [{section}]."
            raise OptionError(msg)
        for key, value in keys.items():
            if key not in _SECTIONS[section]:
                every = [name for names in _SECTIONS.values() for name in names]
                msg = (
                    f"{where!r} has the unknown key {key!r} in [{section}]; known there: "
                    f"{', '.join(_SECTIONS[section])}.{_meant(key, every)}"
                )
                raise OptionError(msg)
            values[_field(key)] = tuple(value) if isinstance(value, list) else value
    return ReleasePolicy(**values)


def _field(key: str) -> str:
    return "approvers" if key == "names" else key


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_type(name: str, value: object) -> None:
    kind = {f.name: str(f.type) for f in fields(ReleasePolicy)}[name]
    right = {
        "float": isinstance(value, int | float) and not isinstance(value, bool),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
        "tuple[str, ...]": isinstance(value, tuple) and all(isinstance(v, str) for v in value),
    }[kind]
    if not right:
        words = {"float": "a number", "int": "a whole number", "bool": "true or false"}
        msg = f"{name} is {value!r} in the policy; expected {words.get(kind, 'a list of texts')}."
        raise OptionError(msg)


def _require(name: str, value: object, condition: bool, expected: str) -> None:  # noqa: FBT001
    if not condition:
        msg = f"{name} is {value} in the policy; it must be {expected}."
        raise OptionError(msg)


def _meant(word: str, known: Any) -> str:  # noqa: ANN401 - any collection of names
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
