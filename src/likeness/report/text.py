"""Numbers and foreign strings as text for a page.

A decimal point always, a comma between thousands, ISO dates, correlations with four decimals.
Names of files and patients are foreign: whatever a reader could not see, or what would reorder the
text around it, is written out as an escape. Escaping for HTML is the templates' part.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime

ABSENT = "not defined"

_SPACE = "\N{NO-BREAK SPACE}"

# Above this, four decimals hide how close a pair is.
_NEAR_ONE = 0.999
# Correlations are float64 sums over up to millions of pixels: below this 1 - r is rounding.
_ROUNDING = 1e-12

# Control, format (zero width, bidirectional), surrogate, private, unassigned, line and paragraph.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def visible(text: str) -> str:
    r"""Write out every character that cannot be seen, as ``\x1b`` or ``\u202e``."""
    if text.isprintable():  # millions of characters of pictures pass here
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _INVISIBLE else c for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def paragraphs(text: str) -> list[str]:
    """Split at blank lines; single line breaks become spaces."""
    blocks = text.replace("\r\n", "\n").split("\n\n")
    return [" ".join(block.split("\n")).strip() for block in blocks if block.strip()]


def correlation(value: float | None) -> str:
    """Write r with four decimals."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{value + 0.0:.4f}".replace("-0.0000", "0.0000").replace("-", "\N{MINUS SIGN}")


def distance_to_one(value: float | None) -> str:
    """Write 1 - r in scientific form where four decimals of r say too little, else nothing."""
    if value is None or not value > _NEAR_ONE:
        return ""
    rest = 1.0 - value
    if rest < _ROUNDING:
        return "1 \N{MINUS SIGN} r < 10⁻¹²"
    return f"1 \N{MINUS SIGN} r = {scientific(rest)}"


def scientific(value: float) -> str:
    """Write a number in scientific form, one decimal."""
    mantissa, exponent = f"{value:.1e}".split("e")
    power = str(int(exponent)).translate(_SUPERSCRIPTS)
    return f"{mantissa} \N{MULTIPLICATION SIGN} 10{power}"


def count(value: int) -> str:
    """Write a whole number with commas between thousands."""
    return f"{value:,}".replace("-", "\N{MINUS SIGN}")


def amount(value: float | None) -> str:
    """Write a measured number with as many digits as help."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e9 or size < 1e-4:
        return scientific(value).replace("-", "\N{MINUS SIGN}")
    decimals = max(0, 3 - math.floor(math.log10(size)))
    text = f"{value:,.{min(decimals, 6)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}")


def share(part: int, whole: int) -> str:
    """Write ``611 of 1,000 (61.1 %)``; a part of none gets no percentage, for it proves none."""
    text = f"{count(part)} of {count(whole)}"
    if part == 0 or whole == 0:
        return text
    return f"{text} ({percentage(part / whole)})"


def percentage(rate: float) -> str:
    """Write a rate in (0, 1] in percent, never rounded to nothing."""
    percent = 100 * rate
    if percent < 0.01:
        return f"{scientific(percent)}{_SPACE}%"
    return f"{percent:.2f}{_SPACE}%" if percent < 1 else f"{percent:.1f}{_SPACE}%"


def percent(rate: float) -> str:
    """Write a rate in [0, 1] in percent with one decimal, where no rounding matters."""
    if 0 <= rate < 0.0005:
        return f"less than 0.1{_SPACE}%"
    return f"{100 * rate:.1f}{_SPACE}%"


def percent_down(rate: float) -> str:
    """Round a rate in [0, 1] down to a tenth of a percent: a lower bound claims no more."""
    if rate < 0.001:
        return f"less than 0.1{_SPACE}%"
    return f"{math.floor(rate * 1000 + 1e-9) / 10:g}{_SPACE}%"


def percent_up(rate: float) -> str:
    """Round a rate in [0, 1] up to a hundredth of a percent, from 10 % on to a tenth."""
    if rate <= 0:
        return f"0.01{_SPACE}%"
    steps = 1000 if rate >= 0.1 else 10_000
    return f"{100 * math.ceil(rate * steps - 1e-9) / steps:g}{_SPACE}%"


def many(number: int, noun: str, plural: str = "") -> str:
    """Write ``1 patient`` or ``1,200 patients``."""
    return f"{count(number)} {noun if number == 1 else plural or noun + 's'}"


def probability(value: float) -> str:
    """Write a probability as ``about 1 in 400 (p = 0.0025)``; above a tenth as two decimals."""
    if value <= 0:
        return "less than 1 in a million"
    if value >= 0.1:
        return f"{value:.2f}"
    digits = f"{value:.2g}" if value >= 1e-4 else scientific(value)
    odds = 1 / value
    if odds >= 1e12:
        return f"far below 1 in a million million (p{_SPACE}={_SPACE}{digits})"
    return f"about 1 in {in_words(odds)} (p{_SPACE}={_SPACE}{digits})"


def in_words(value: float) -> str:
    """Round a large number to two digits that count, with words for millions."""
    size = 10 ** max(0, math.floor(math.log10(value)) - 1)
    rounded = round(value / size) * size
    for unit, word in ((10**9, "thousand million"), (10**6, "million")):
        if rounded >= unit:
            return (
                f"{rounded / unit:,.2g} {word}"
                if rounded < 100 * unit
                else (f"{round(rounded / unit):,} {word}")
            )
    return count(int(rounded))


def byte_size(value: int) -> str:
    """Write bytes as MB (10^6 bytes) or smaller units."""
    if value >= 1_000_000:
        return f"{value / 1e6:,.1f} MB"
    return f"{value / 1e3:.1f} kB" if value >= 1000 else f"{value} bytes"


def duration(seconds: float) -> str:
    """Write a length of time in seconds, or minutes and hours where it is long."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def moment(text: str) -> str:
    """Write an ISO 8601 moment as ``2025-01-31 08:15 UTC``; another text stays as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    if when.tzinfo is not None:
        return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return when.strftime("%Y-%m-%d %H:%M")


def day(text: str) -> str | None:
    """Return the UTC date of an ISO 8601 moment, or None for any other text."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (when.astimezone(UTC) if when.tzinfo is not None else when).strftime("%Y-%m-%d")
