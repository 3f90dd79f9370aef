"""From the files of an audit folder to two pages that people read.

In:  an audit folder (`findings.json`, `images.parquet`, `baseline.parquet`, `evidence/`,
     `errors.csv`). Nothing else: an older audit can be rendered again.
Out: `report-INTERNAL.html`, with the pictures of patients, readable by its owner only, and
     `summary.html`, with numbers only, which may be handed on.

    audit_files     read the folder; what is absent or damaged becomes a sentence
    pair_files      the stored pairs and their pixels, one at a time
    evidence        pixels of a pair -> 8-bit pictures
    charts          distributions of the correlation -> SVG
    contrast_chart  how far images stand out -> SVG
    set_charts      planted copies caught, share that points to training patients -> SVG
    drawings        from the tables to all of these, at the two widths of `svg`
    pair_card       one pair as HTML
    internal        everything, worst pairs first, within a size budget
    summary         `SummaryFacts`, a whitelist of numbers, and the page made of nothing else
    verdicts        the verdict as a sentence; the audit calls it
    sentences       the other numbers as sentences
    wording, text   the fixed words; numbers and foreign strings as text
    render          Jinja2 with escaping; templates/ holds the pages and the style sheet

Both pages are one file each, open from a folder without a network, run no script and load nothing:
their content security policy allows inline styles and, in the internal report, embedded pictures.
Equal folders give equal bytes. The report decides nothing: it shows what the audit concluded.
"""

from likeness.report.writing import ReportPaths, write_report

__all__ = ["ReportPaths", "write_report"]
