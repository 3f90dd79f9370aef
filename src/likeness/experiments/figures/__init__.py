"""The paper's figures as functions of arrays: sheets of images, pairs, distributions.

    contents.py               what they are drawn from, and `pair_row`, which gathers a pair
    image_sheets.py           figures 1 and 4: training and synthetic images, a line per channel
    pair_sheets.py            figures 2 and 5: a synthetic image, its most correlated training
                              image, the scatter plot of both, and the slices before and after
    distribution_sheets.py    figures 3 and 6: distributions of the highest correlations
    canvas.py                 what all of them share
    saving.py                 PNG and PDF, the same bytes for the same figure

Sheets of images and pairs show patients and are not to be shared.

Source of the arrangement: Akbar, Wang, Eklund 2025, figures 1 to 6.
"""
