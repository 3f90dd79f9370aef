"""Write ``docs/benchmarks.md`` and its figures from the JSON files in ``benchmarks/results``.

Every number of the page comes out of a file that a run wrote, with the machine and the commit it
ran on. What was not measured says so. A test compares the page with what this makes.

Run: python -m benchmarks.render
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.goals import goal_rows
from benchmarks.recording import RESULTS, ROOT
from benchmarks.surviving_shares import GRIDS, NEEDED

PAGE = ROOT / "docs" / "benchmarks.md"
FIGURES = PAGE.parent / "figures"
KNOWN = {
    "surviving_shares",
    "search-main",
    "search-grey",
    "search-unblurred",
    "search-small",
    "search-few",
    "search-noisy-8",
    "search-noisy-16",
    "growth",
    "audit-at-paper-size",
    "preparing",
    "restart",
    "generators",
    "measures-cost",
    "measures-found",
}
HEAD = (
    "# Benchmarks\n\n"
    "Made by `python -m benchmarks.render` from the files in `benchmarks/results`, each written by "
    "one run of a script in `benchmarks/`; `make bench` runs all of them.\n"
    'All images are artificial, see "How hard the images are". The sides of a comparison take '
    "turns within one run and may use the same cores. Medians of several rounds are shown, with "
    "the range in brackets.\n"
)


def load(folder=RESULTS):
    """Read all results; quick runs measure nothing and are refused."""
    results = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    quick = [name for name, entry in results.items() if entry.get("settings", {}).get("quick")]
    if quick:
        msg = f"{quick} come from runs with --quick, which measure nothing: remove them."
        raise ValueError(msg)
    return results


def page(results):
    """Return the whole page."""
    parts = [
        HEAD,
        goals(results),
        shares(results.get("surviving_shares")),
        searches(results),
        growth(results.get("growth")),
        audit(results.get("audit-at-paper-size")),
        preparing(results.get("preparing")),
        restart(results.get("restart")),
        generators(results.get("generators")),
        measure_costs(results.get("measures-cost")),
        measures_found(results.get("measures-found")),
        *(other(name, entry) for name, entry in results.items() if name not in KNOWN),
    ]
    return "\n".join(parts).rstrip() + "\n"


def table(heads, rows):
    """Lay out rows as a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def number(value):
    """Show three digits of a number, whole numbers whole."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def ranged(entry, scale=1.0, unit=""):
    """Show a median and its range."""
    middle, least, greatest = (
        number(entry[key] * scale) for key in ("median", "least", "greatest")
    )
    return f"{middle}{unit} ({least} to {greatest})"


def where(entry):
    """Say on what machine and commit a result was measured."""
    machine = entry["machine"]
    flags = ", ".join(machine["flags"]) or "none of the wide instruction sets"
    versions = ", ".join(f"{name} {version}" for name, version in entry["versions"].items())
    return (
        f"Measured {entry['when']} at commit {entry['commit']}: {machine['processor']}, "
        f"{machine['cores']} cores ({flags}), {machine['memory_gib']} GiB, {machine['system']}, "
        f"Python {machine['python']}; {versions}. Load before the run: {machine['load_before']}.\n"
    )


def missing(title, command):
    """Return a section that says that nothing was measured."""
    return f"## {title}\n\nNot measured yet: `python -m benchmarks.{command}`.\n"


def goals(results):
    """Return the table of goals, measured values and whether they are reached."""
    rows = [
        (
            goal.what,
            goal.text,
            "not measured at this size" if value is None else goal.shown(value),
            "" if value is None else "yes" if goal.reached(value) else "**no**",
        )
        for goal, value in goal_rows(results)
    ]
    heads = ["what", "goal", "measured", "reached"]
    return f"## Goals\n\n{table(heads, rows)}"


def shares(entry):
    """Return how hard the images are."""
    title = "How hard the images are"
    if entry is None:
        return missing(title, "surviving_shares")
    rows = [
        (
            f"{found['name']}, {found['shape'][0]} channels",
            f"{found['queries']:,} x {found['references']:,} of {found['patients']:,} patients",
            f"{grid} x {grid}",
            *(f"{100 * found['shares'][str(grid)][name]:.3g} %" for name in NEEDED),
        )
        for found in entry["sets"]
        for grid in GRIDS
    ]
    text = (
        "Share of references that a bound from block means cannot rule out, for queries of other "
        "people: the higher, the less a search can skip. It falls as references grow in number, "
        "so only rows of equal size may be compared.\n"
    )
    heads = ["images", "queries x references", "grid", *NEEDED]
    return f"## {title}\n\n{text}\n{table(heads, rows)}\n{where(entry)}"


def searches(results):
    """Return the comparisons of the search with what one would use instead."""
    title = "Search, beside what one would use instead"
    parts = [f"## {title}\n"]
    found = [name for name in results if name.startswith("search-")]
    if "search-main" not in found:
        parts = [missing(title, "search_vs_others")]
    else:
        parts.append(
            "Ours counts the preparation of the queries and gives both correlations, 20 images and "
            "2 patients per query; the others give one correlation and 20 images, and what they "
            "prepare beforehand is not counted. Flips and turns are off.\n"
        )
    order = ("main", "grey", "unblurred", "small", "few", "noisy-8", "noisy-16")
    for case in (name for name in order if f"search-{name}" in found):
        entry = results[f"search-{case}"]
        noise = f", noise of standard deviation {entry['noise']:g} added" if entry["noise"] else ""
        kind = f"blurred by {entry['blur']:g} pixels" if entry["blur"] else "not blurred"
        parts.append(
            f"### {entry['queries']:,} queries x {entry['references']:,} references, {kind}"
            f"{noise}{', one channel' if entry['shape'][0] == 1 else ''}\n"
        )
        if entry.get("warmed"):
            parts.append("Each side ran once untimed right before each timed run.\n")
        parts.append(speeds(entry["sides"]))
        if "others" in entry:
            parts.append("In a second group of rounds of the same run:\n")
            parts.append(speeds(entry["others"]["sides"]))
            parts.append(f"Plain int8: {entry['others']['plain_kernel']}.\n")
        faiss = entry["checks"]["faiss"]
        parts.append(
            f"Method {entry['method']}: it looked at the pixels of "
            f"{100 * entry['compared_pairs'] / entry['sides']['likeness']['pairs']:.3g} % of the "
            "pairs. All lists equal those of brute force, bit for bit. "
            f"FAISS found the same nearest image for {faiss['same_nearest']:,} of "
            f"{faiss['queries_whose_nearest_is_in_the_part']:,} queries whose nearest image it "
            f"held; its r was off by up to {faiss['largest_error_of_r']:.1e}. "
            f"First search on the new set, which makes its coarse copies: "
            f"{number(entry['first_search_seconds'])} s. Engine {entry['engine']}, "
            f"{entry['threads']} threads, {'x'.join(map(str, entry['shape']))} pixels, mean "
            f"highest r {entry['mean_highest_r']:.3f}.\n"
        )
        parts.append(where(entry))
    return "\n".join(parts)


def speeds(sides):
    """Return a table of sides that took turns."""
    rows = [
        (
            name,
            f"{side['pairs']:,}",
            ranged(side["seconds"]),
            number(side["processor_seconds"]["median"]),
            number(side["pairs_per_second"]["median"]),
            ranged(side["ours_is_faster"]),
        )
        for name, side in sides.items()
    ]
    heads = ["side", "pairs", "seconds", "processor seconds", "pairs per second"]
    return table([*heads, "ours is faster by"], rows)


def growth(entry):
    """Return how time grows with the number of references."""
    title = "Growth with the number of references"
    if entry is None:
        return missing(title, "growth --folder FOLDER")
    rows = [
        (f"{size:,}", ranged(entry["seconds"][str(size)]),
         ranged(entry["seconds"][f"{size}, brute force"])
         if f"{size}, brute force" in entry["seconds"] else "")
        for size in entry["sizes"]
    ]  # fmt: skip
    steps = ", ".join(f"{step:.2f}" for step in entry["exponent_step_by_step"])
    return (
        f"## {title}\n\n{table(['references', 'seconds', 'brute force'], rows)}\n"
        f"{entry['queries']:,} queries. Seconds grow as the number of references to the power of "
        f"{entry['exponent']:.3f}; from row to row: {steps}. A set that is larger than the "
        "memory of the machine is read from its disk.\n\n"
        f"![Seconds of a search against the number of references](figures/growth.svg)\n\n"
        f"{where(entry)}"
    )


def audit(entry):
    """Return what a whole audit takes."""
    title = "A whole audit at the paper's size"
    if entry is None:
        return missing(title, "audit_at_paper_size --folder FOLDER")
    reading, copies = entry["reading"], entry["copies"]
    given = entry["settings"]["audit_arguments"]
    rows = [(name, number(value), f"{100 * value / entry['seconds']:.1f} %")
            for name, value in entry["stages"].items()]  # fmt: skip
    gib = 2**30
    return (
        f"## {title}\n\n"
        f"{entry['train']:,} training, {entry['test']:,} test and {entry['synthetic']:,} synthetic "
        f"images, baselines included, by `likeness audit --memory {entry['settings']['memory']}"
        f"{' ' + given if given else ''}`: {number(entry['seconds'])} s; verdict "
        f"{entry['verdict']}. Peak memory of the process {entry['peak_process_bytes'] / gib:.2f} "
        f"GiB, of it and all its children together {entry['peak_tree_bytes'] / gib:.2f} GiB. "
        f"Reading the pixels of the training set once ({reading['bytes'] / 1e9:.1f} GB) takes "
        f"{number(reading['cold_seconds'])} s with an empty cache and "
        f"{number(reading['warm_seconds'])} s the next time: the audit takes "
        f"{number(entry['times_reading_once'])} times as long as the first. "
        f"{copies['found']} of {copies['planted']} planted copies were listed, and "
        f"{copies['others_flagged']} other image{'s' * (copies['others_flagged'] != 1)}.\n\n"
        f"{table(['stage', 'seconds', 'share'], rows)}\n{where(entry)}"
    )


def restart(entry):
    """Return what a kill costs."""
    title = "Restart after a kill"
    if entry is None:
        return missing(title, "restart --folder FOLDER")
    rows = [
        (what, ranged(row["whole_seconds"]), ranged(row["restart_seconds"]),
         ranged(row["share"], 100.0, " %"))
        for what, row in entry["what"].items()
    ]  # fmt: skip
    heads = ["what", "whole, seconds", "restart, seconds", "share of the whole"]
    return (
        f"## {title}\n\nKilled with SIGKILL at {100 * entry['killed_at']:.0f} % of the whole "
        f"time, then started again; {entry['train']:,} training images, {entry['test']:,} test "
        f"images, {entry['synthetic']:,} synthetic ones. Every table equalled that of a run that "
        "was not killed. The audit is that of a second model, which finds what the first one's "
        "left with the training set; the first audit does all of it.\n\n"
        f"{table(heads, rows)}\n{stages_of_restarts(entry['what'])}{where(entry)}"
    )


def stages_of_restarts(found):
    """Return what the last round of each took, stage by stage."""
    text = ""
    for what, row in found.items():
        sides = row["stages"][-1]
        names = dict.fromkeys([*sides["whole"], *sides["restart"]])
        if len(names) > 2:
            rows = [
                (
                    name,
                    number(sides["whole"].get(name, 0.0)),
                    number(sides["restart"].get(name, 0.0)),
                )
                for name in names
            ]
            heads = ["stage", "whole, seconds", "restart, seconds"]
            text += f"Stages of the last round, {what}:\n\n{table(heads, rows)}\n"
    return text


def preparing(entry):
    """Return what preparing a set costs beside decoding its files."""
    title = "Preparing an image set"
    if entry is None:
        return missing(title, "preparing --folder FOLDER")
    rows = [
        (
            f"{row['files']:,} {'files of ' if kind == 'volumes' else ''}{kind}",
            ranged(row["alone"]),
            ranged(row["prepared"]),
            ranged(row["share"], 100.0, " %"),
            ranged(row["checks"]["share"], 100.0, " %"),
            ranged(row["restart"]["share"], 100.0, " %") if row["restart"] else "",
        )
        for kind, row in entry["what"].items()
    ]
    decoded = ranged(entry["what"]["volumes"]["share_of_decoding"], 100.0, " %")
    heads = ["files", "alone, seconds", "preparing, seconds", "speed of preparing",
             "hashes and checks", "restart"]  # fmt: skip
    return (
        f"## {title}\n\nAlone is reading in {entry['settings']['processes']} processes that were "
        "started beforehand, and nothing else: pictures are decoded and resized by Pillow, volumes "
        "are decoded by nibabel, scaled and cut into slices with a few lines of NumPy (decoding "
        f"them and doing nothing with them: preparing has {decoded} of that speed). Preparing "
        "counts the start of its processes, writes the set, hashes all files and pixels and checks "
        "that no file changed. What hashes and checks take is a share of processor time. The last "
        "column is the time of a second start after SIGKILL at "
        f"{100 * entry['killed_at']:.0f} %, as a share of the whole.\n\n"
        f"{table(heads, rows)}\n{where(entry)}"
    )


def generators(entry):
    """Return speed and memory of training the generators, and what their networks cost."""
    title = "Training the generators"
    if entry is None:
        return missing(title, "generators")
    trained = [
        (
            f"{row['model']} {row['preset']}",
            row["pixels"],
            row["batch"],
            ranged(row["images_per_second"]),
            number(row["seconds_per_thousand"]),
            number(row["peak_memory_gb"]),
        )
        for row in entry["training"]
    ]
    costs = [
        (
            row["preset"],
            row["pixels"],
            number(row["parameters"]),
            f"{row['forward_gflop']:,.3f}",
            f"{row['guided_diffusion_gflop']:,.3f}",
        )
        for row in entry["costs"]
    ]
    sides = [
        (row["activation"], row["batch"], ranged(row["seconds_forward_and_backward"]))
        for row in entry["activations"]
    ]
    heads = ["preset", "pixels", "batch", "images per second", "seconds per 1,000 images",
             "peak memory, GB"]  # fmt: skip
    cost_heads = ["diffusion preset", "pixels", "parameters", "forward pass, GFLOP",
                  "guided-diffusion, GFLOP"]  # fmt: skip
    side_heads = ["filtered activation of StyleGAN3", "batch", "generator forward and backward, s"]
    return (
        f"## {title}\n\nA few steps of the real loop on noise, in float32, without the first step; "
        "the memory is that of the whole process, its libraries among it.\n\n"
        f"{table(heads, trained)}\nOne image forward through the diffusion model's network, a "
        "multiplication and an addition as two operations, and the same count of "
        "guided-diffusion's network, written down from its published architecture.\n\n"
        f"{table(cost_heads, costs)}\nPreset tiny of StyleGAN3, "
        f"{entry['activations'][0]['pixels']} pixels: the product beside the definition, "
        "which puts zeros between the samples and "
        f"convolves. Both give the same images and gradients; the product takes "
        f"1/{entry['times_faster']:.2f} of the time.\n\n{table(side_heads, sides)}\n{where(entry)}"
    )


def measure_costs(entry):
    """Return what other measures cost beside correlation."""
    title = "Cost of other measures"
    if entry is None:
        return missing(title, "measures --only cost")
    rows = [
        (
            name,
            f"{side['pairs']:,}",
            ranged(side["seconds_per_pair"], 1e3),
            ranged(side["times_scipy"]),
            ranged(side["times_search"]),
        )
        for name, side in entry["sides"].items()
    ]
    heads = ["measure", "pairs", "milliseconds per pair", "times correlation by scipy",
             "times correlation by the search"]  # fmt: skip
    return (
        f"## {title}\n\nImages of {' x '.join(map(str, entry['shape']))}, one thread. The features "
        "of an image are computed once and serve all its pairs, so their part of the cost falls "
        "with the number of pairs; the same is true of what the search prepares. Mutual "
        "information is normalised and taken over the foreground.\n\n"
        f"{table(heads, rows)}\n{where(entry)}"
    )


def measures_found(entry):
    """Return which altered copies each measure finds."""
    title = "Which measure finds which copies"
    if entry is None:
        return missing(title, "measures --only found")
    given = entry["settings"]
    rows = [
        (
            kind,
            row["measure"],
            share(row["let_through"]),
            *(share(level["found"]) for level in row["levels"].values()),
            *(f"{100 * level['right_reference']['share']:.0f} %"
              for level in row["levels"].values()),
        )
        for kind, found in entry["kinds"].items()
        for row in found["measures"]
    ]  # fmt: skip
    levels = list(next(iter(entry["kinds"].values()))["measures"][0]["levels"])
    heads = ["images", "measure", "let through", *(f"{level} found" for level in levels),
             *(f"{level} right" for level in levels)]  # fmt: skip
    errors = "; ".join(
        f"{kind} {found['autoencoder']['error']:.4f}, mean image "
        f"{found['autoencoder']['error_of_mean_image']:.4f}"
        for kind, found in entry["kinds"].items()
    )
    shape = {kind: " x ".join(map(str, found["shape"])) for kind, found in entry["kinds"].items()}
    sizes = ", ".join(f"{kind} {text}" for kind, text in shape.items())
    return (
        f"## {title}\n\n{given['copies']} copies of each level (`docs/validation.md`), one for "
        f"each of as many of {given['references']} artificial patients; {sizes} pixels. A copy "
        f"counts as found if its highest value exceeds the threshold that at most "
        f"{100 * entry['allowed']:g} % of {given['innocents']} images of new patients exceed; "
        f"'let through' is the share of {given['innocents']} further ones above it. 'Right' is the "
        "share of copies whose most similar image is the one they were made of, whatever the "
        "value. In brackets 95 % intervals (Wilson). No flips, no registration: the audit does "
        f"more with correlation than this. Autoencoder: 256 features, {given['steps']:,} steps, "
        f"width {given['width']}, trained on the references; mean square error: {errors}.\n\n"
        f"{table(heads, rows)}\n"
        "![Share of planted copies found by each measure](figures/measures.svg)\n\n"
        f"{where(entry)}"
    )


def share(found):
    """Show a share with its limits."""
    return f"{100 * found['share']:.0f} % ({100 * found['low']:.0f} to {100 * found['high']:.0f})"


def other(name, entry):
    """Return a section for a result whose script has no section of its own here.

    ``title`` and ``text`` are shown; every list of equal-keyed dictionaries becomes a table.
    """
    parts = [f"## {entry.get('title', name.replace('_', ' ').replace('-', ' ').capitalize())}\n"]
    if entry.get("text"):
        parts.append(entry["text"].rstrip() + "\n")
    for value in entry.values():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            heads = list(dict.fromkeys(key for row in value for key in row))
            rows = [[cell(row.get(head, "")) for head in heads] for row in value]
            parts.append(table([head.replace("_", " ") for head in heads], rows))
    if "machine" in entry and "versions" in entry:
        parts.append(where(entry))
    return "\n".join(parts)


def cell(value):
    """Show one value of a table."""
    if isinstance(value, dict) and "median" in value:
        return ranged(value)
    if isinstance(value, dict | list):
        return json.dumps(value)
    return number(value)


def draw_growth(entry, path):
    """Draw seconds against references, both axes logarithmic, with the fitted line."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "likeness"  # equal data, equal file
    import numpy as np
    from matplotlib import pyplot as plt

    sizes = np.array(entry["sizes"], float)
    picture, axes = plt.subplots(figsize=(6.4, 4.0))
    for label, name in (("search", "{}"), ("brute force", "{}, brute force")):
        known = [s for s in entry["sizes"] if name.format(s) in entry["seconds"]]
        rows = [entry["seconds"][name.format(size)] for size in known]
        if not rows:
            continue
        middle = np.array([row["median"] for row in rows])
        below = middle - [row["least"] for row in rows]
        above = np.array([row["greatest"] for row in rows]) - middle
        axes.errorbar(known, middle, yerr=[below, above], marker="o", capsize=3, label=label)
    medians = np.array([entry["seconds"][str(size)]["median"] for size in entry["sizes"]])
    line = (
        np.exp(np.log(medians).mean()) * (sizes / np.exp(np.log(sizes).mean())) ** entry["exponent"]
    )
    axes.plot(sizes, line, "--", color="grey", label=f"N to the power of {entry['exponent']:.2f}")
    axes.set(xscale="log", yscale="log", xlabel="references N",
             ylabel=f"seconds, {entry['queries']:,} queries")  # fmt: skip
    axes.legend()
    picture.tight_layout()
    path.parent.mkdir(exist_ok=True)
    picture.savefig(path, metadata={"Date": None})
    plt.close(picture)


def draw_measures(entry, path):
    """Draw the share of copies found, by level and measure."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "likeness"  # equal data, equal file
    from matplotlib import pyplot as plt

    picture, panels = plt.subplots(
        len(entry["kinds"]), 1, figsize=(7.2, 5.6), sharex=True, squeeze=False
    )
    for axes, (kind, found) in zip(panels[:, 0], entry["kinds"].items(), strict=True):
        wide = 0.8 / len(found["measures"])
        for number, row in enumerate(found["measures"]):
            cells = [level["found"] for level in row["levels"].values()]
            places = [place + (number + 0.5) * wide - 0.4 for place in range(len(cells))]
            middle = [cell["share"] for cell in cells]
            below = [max(cell["share"] - cell["low"], 0.0) for cell in cells]
            above = [max(cell["high"] - cell["share"], 0.0) for cell in cells]
            axes.bar(places, middle, wide, yerr=[below, above], capsize=2, label=row["measure"])
        axes.set(ylabel="found", ylim=(0, 1.05), title=kind)
        axes.set_xticks(range(len(row["levels"])), list(row["levels"]))
    panels[-1, 0].set_xlabel("level of alteration")
    panels[0, 0].legend(fontsize="small", ncols=2)
    picture.tight_layout()
    path.parent.mkdir(exist_ok=True)
    picture.savefig(path, metadata={"Date": None})
    plt.close(picture)


def main():
    results = load()
    PAGE.write_text(page(results))
    print(f"wrote {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")
    if "growth" in results:
        draw_growth(results["growth"], FIGURES / "growth.svg")
    if "measures-found" in results:
        draw_measures(results["measures-found"], FIGURES / "measures.svg")


if __name__ == "__main__":
    main()
