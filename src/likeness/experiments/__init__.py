"""The paper's experiments, run again: from files to its tables and figures.

    configurations.py   what is run, as pure data: sources, training sets, generators
    sources.py          folders of the user's data, or artificial patients
    stages.py           pieces of work that are skipped while nothing they depend on changes
      images.py         prepare/ data/      image sets, and who of them is trained on
      comparing.py      baseline/ compare/  the highest correlation of every image
      generating.py     train/ sample/
      judging.py        evaluate/ audit/
    pipeline.py         all of these in order, then tables and figures
    results.py          what the stages found, gathered
    rules.py            the paper's four findings, by rules fixed before the runs
    tables.py, drawing.py, paper_values.py
    figures/            the arrangement of the paper's figures, as functions of arrays
    forecast.py         what training and sampling will take here

It computes nothing that a user could not ask of the other commands: it calls the same functions.
Importing it loads no torch; training, sampling and evaluating do.
"""
