"""Who in a set looks like whom: a whole set with itself, or two real sets with each other.

In: an image set, perhaps a second one. Out: what is there twice.

    images -----+--> SHA-256 of the pixels ---------------> equal images
                +--> 64 x 64, 8 bit --search--> r_ch -----> almost equal images, one person under
                |                                           two ids, a picture generated twice
                +--> full size --------search--> r_cat ---> the nearest image of another patient
                                                            (distribution, per patient)

Nothing is sampled: every image meets every image of every other patient, by two searches whose
results are exact. The own patient is left out, since neighbouring slices of one person are alike.
`authenticity` holds synthetic images against these distances within the training set.

The first search finds candidates among rounded pictures, with a bound that no pair above the limit
can miss; each candidate is then computed from the block means themselves (see `near`).

What it does not do: it decides nothing about copies (see `likeness._audit`), and it does not find
two different pictures of one person.
"""

from likeness._neighbours.authenticity import Authenticity, measure_authenticity
from likeness._neighbours.duplicates import Duplicates, find_duplicates

__all__ = ["Authenticity", "Duplicates", "find_duplicates", "measure_authenticity"]
