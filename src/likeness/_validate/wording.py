"""The fixed words of the page of a validation."""

from __future__ import annotations

from typing import Final

CAPTIONS: Final[dict[str, dict[str, str]]] = {
    "table": {
        "shown": "What the protocol demands of the audit, and what was measured on this set. The "
        "sensitivity is that with ten copies in a thousand images; beside it, how many copies "
        "would be flagged as the only one in the set. With 1,000 patients and more, a goal is "
        "reached by the estimate; with fewer, where the 95 % interval includes it: open, where the "
        "estimate itself does not reach it.",
        "good": "Every row with a goal says yes, and the intervals are narrow.",
        "bad": "A no at L0 to L2: copies that every audit must find are missed. A no among the "
        "innocents: people's pictures are accused that nobody copied.",
        "action": "Do not rely on a clearance for images like these where a mandatory row says no. "
        "A larger set narrows the intervals.",
    },
    "sensitivity": {
        "shown": "Share of altered copies that are flagged with the right patient, per level and "
        "kind, with ten copies in a thousand images. Bars: 95 % intervals over patients; "
        "brackets: goals.",
        "good": "Dots to the right of their brackets.",
        "bad": "A kind far left of the others of its level: the audit is blind to it on such "
        "images.",
        "action": "Name kinds that are missed when you report a clearance.",
    },
    "rates": {
        "shown": "The same sensitivity against the share of copies in the set. Many copies help "
        "each other to be flagged; the leftmost point is the hard case.",
        "good": "Flat lines near the top.",
        "bad": "Lines that fall to the left: single copies pass where many are caught.",
        "action": "Where the left end is low, trust the audit of small or rarely leaking sets "
        "less.",
    },
    "roc": {
        "shown": "Share of copies found when so many innocents may be accused, one image at a "
        "time. The horizontal axis is logarithmic: 0.1 % is one innocent in a thousand.",
        "good": "Curves that are high already at the left edge.",
        "bad": "Curves that rise only at the right: copies and innocents look alike.",
        "action": "Read off what a stricter or laxer decision would give.",
    },
    "innocents": {
        "shown": "Share of innocents among the flagged images (mean over shares of copies), and "
        "share of sets without any copy in which something was flagged. Brackets: goals.",
        "good": "Dots left of their brackets, for every kind of innocent.",
        "bad": "Smooth images (shrunk towards the mean) or averages that are flagged: the audit "
        "would accuse a generator that copied nobody.",
        "action": "Treat flags on a set that looks like a failing kind as unproven.",
    },
    "power": {
        "shown": "How often the test of the whole set gives p of at most 0.05, against the share "
        "of copies. At 0 % nothing was copied: the dotted level is the 5 % that chance gives.",
        "good": "On the level at 0 %, and rising quickly.",
        "bad": "Above the level at 0 %: alarms without a cause.",
        "action": "Read off how many copies the set-level test needs on such data.",
    },
    "rules": {
        "shown": "Share of images that each rule flags in the same splits: copies per level "
        "(higher is better), then innocents (lower is better). The last line is the audit: "
        "copies as the only one in the set, innocents one by one at p of at most 0.01. C_T "
        "judges sets: the share of sets without a copy for which it gave an alarm.",
        "good": "High among copies and low among innocents at once.",
        "bad": "A rule that flags smooth images as readily as copies measures smoothness.",
        "action": "Where another tool reports one of these numbers, look here what it can mean.",
    },
}

LIMITS: Final = (
    "Copies were altered by simple means. A generator's own copies may drift in other ways; only a "
    "generator that is known to memorise shows that.",
    "Splits share their images: intervals over splits are narrower than those for new data.",
    "The search chose its candidates among all patients at once, and looked at more of them in "
    "return; a real audit chooses among the training patients.",
    "Recognising a person by other means, such as a trained network, is not measured.",
)
