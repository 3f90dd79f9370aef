"""Filter and refine: the same lists as comparing every pair, most pairs never compared.

In: a block of queries, the references and the coarse level of the references (`coarse`, made once
per image set and stored with it). Out: a `BlockState` whose lists end with the same bits as those
of brute force.

    coarse level --products--> estimates of all pairs --floors--> pairs that could be listed
      --fine coefficients--> fewer pairs --pixels--> exact correlations --> lists --> proof

An estimate comes with a bound of its error (`bounds`), so a pair whose upper bound lies below what
the lists hold at their end is skipped without loss. No correlation that leaves here is an estimate.

What it does not do: it takes 8-bit images only, it needs Numba, and where much is left to compare
exactly (noise, tiny images) it gives up and lets brute force do the block.
"""
