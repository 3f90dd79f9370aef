"""Only the search, without any verdict.

In: queries and references, folders or image sets. Out: who looks like whom.

    find_matches           every query -> its most correlated references, as a table
    find_resemblance       every query -> one patient of the references: how alike, whether this
                           patient is also the nearest of all, and what chance gives

The second answers a patient (or whoever must answer one) who asks what in a set of synthetic images
looks like them. What it does not do: it calls nothing a copy. That needs the yardsticks of an audit
(see `likeness._audit`).
"""

from likeness._match.matches import Matched, find_matches
from likeness._match.resemblance import Resemblance, find_resemblance

__all__ = ["Matched", "Resemblance", "find_matches", "find_resemblance"]
