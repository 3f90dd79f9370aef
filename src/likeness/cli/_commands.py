"""The verbs: name, module, one line, examples. The help and the documentation come from here."""

from __future__ import annotations

from dataclasses import dataclass

from cyclopts import App

from likeness._versions import package_version

SUMMARY = """Do these synthetic medical images reproduce the patients they were made from?

Start with `likeness demo`, then `likeness inspect FOLDER` on your own images."""

EXIT_CODES = (
    "Exit codes: 0 done; 1 findings and --fail-on copies, or the gate says no; 2 usage; 3 input; "
    "4 no verdict possible; 5 done, some files left out and listed; 6 locked by another run; "
    "7 cannot write; 70 a bug; 130 interrupted."
)


@dataclass(frozen=True)
class Verb:
    """One command."""

    name: str
    target: str
    summary: str
    examples: tuple[str, ...]
    is_group: bool = False
    """Whether it has verbs of its own and states its help itself."""


VERBS = (
    Verb(
        "demo",
        "likeness.cli.demo:demo",
        "Show the whole job on artificial patients, offline, in about a minute.",
        ("likeness demo", "likeness demo --out my-demo --seed 7"),
    ),
    Verb(
        "doctor",
        "likeness.cli.doctor:doctor",
        "Report what this machine can do: engines, memory, decoders, versions.",
        ("likeness doctor", "likeness doctor --json"),
    ),
    Verb(
        "inspect",
        "likeness.cli.inspect:inspect",
        "Say what would be read from a folder: formats, shapes, patients, problems.",
        ("likeness inspect train/", "likeness inspect train/ --patient-id 'regex:(P[0-9]+)_'"),
    ),
    Verb(
        "prepare",
        "likeness.cli.prepare:app",
        "Turn files into an image set: `brats`, `cxr` or `images`.",
        (
            "likeness prepare brats BraTS2020/ --out sets --test-patients 56",
            "likeness prepare cxr chest_xray/train --out sets --test-patients 0.2",
            "likeness prepare images synthetic/ --out sets/synthetic",
        ),
        is_group=True,
    ),
    Verb(
        "match",
        "likeness.cli.match:match",
        "Find the most correlated reference images of every query image. No verdict.",
        (
            "likeness match --queries synthetic/ --references train/ --out matches.parquet",
            "likeness match --queries synthetic/ --references train/ --test test/ "
            "--patient P0042 --out answer",
        ),
    ),
    Verb(
        "duplicates",
        "likeness.cli.duplicates:duplicates",
        "Find pictures and people that are there twice, in one set or in two.",
        (
            "likeness duplicates train/ --out duplicates",
            "likeness duplicates test/ --against train/ --out leakage --fail-on duplicates",
            "likeness duplicates synthetic/ --patient-id none --out repeated",
        ),
    ),
    Verb(
        "authenticity",
        "likeness.cli.authenticity:authenticity",
        "Measure authenticity (Alaa et al. 2022) among all training images. No verdict.",
        ("likeness authenticity --synthetic synthetic/ --train train/ --out authenticity",),
    ),
    Verb(
        "audit",
        "likeness.cli.audit:audit",
        "Search every synthetic image among all training images; verdict and report.",
        (
            "likeness audit --train train/ --test test/ --synthetic synthetic/ --out audit",
            "likeness audit --train train/ --synthetic synthetic/ --out audit --dry-run",
            "likeness audit --config audit/settings.toml --out again",
        ),
    ),
    Verb(
        "report",
        "likeness.cli.report:report",
        "Write the report of an audit again, from its saved results.",
        ("likeness report --audit audit",),
    ),
    Verb(
        "compare",
        "likeness.cli.compare:compare",
        "Put any number of finished audits beside each other: one table, one figure.",
        (
            "likeness compare audit-ddpm audit-stylegan3 --out comparison",
            "likeness compare a b --name 'early stop' --name 'whole training' --out comparison",
        ),
    ),
    Verb(
        "release",
        "likeness.cli.release:release",
        "Hand on the synthetic images of an audit that meet a policy, and nothing else.",
        (
            "likeness release --audit audit --check",
            "likeness release --audit audit --out release --policy policy.toml",
            "likeness release --verify release",
        ),
    ),
    Verb(
        "verify",
        "likeness.cli.verify:verify",
        "Check every byte of an image set against its checksums.",
        ("likeness verify sets/train",),
    ),
    Verb(
        "append",
        "likeness.cli.append:append",
        "Add more images to an image set; nothing that is there is prepared again.",
        ("likeness append sets/train more/", "likeness append sets/train more/ --dry-run"),
    ),
    Verb(
        "forget",
        "likeness.cli.forget:forget",
        "Remove patients from an image set: pixels, rows, and what names them.",
        (
            "likeness forget sets/train --patient P0042 --dry-run",
            "likeness forget sets/train --patients-from withdrawn.txt",
        ),
    ),
    Verb(
        "validate",
        "likeness.cli.validate:validate",
        "Try the audit's decisions on an image set where the truth is known.",
        (
            "likeness validate --images sets/all --out validation",
            "likeness validate --images sets/all --out validation --dry-run",
        ),
    ),
    Verb(
        "train",
        "likeness.cli.train:app",
        "Train one of the paper's generators: `ddpm` or `stylegan3`.",
        (
            "likeness train ddpm sets/train --out run",
            "likeness train ddpm sets/train --out run --test sets/test --audit-every 2000 "
            "--stop-on-copies",
            "likeness train stylegan3 sets/train --out run --images 200000 --dry-run",
        ),
        is_group=True,
    ),
    Verb(
        "sample",
        "likeness.cli.sample:sample",
        "Draw images of a trained model as an image set, ready to be audited.",
        (
            "likeness sample run --num 1000 --out samples",
            "likeness sample run --num 1000 --seed 1 --out samples --export png --layout paper",
        ),
    ),
    Verb(
        "evaluate",
        "likeness.cli.evaluate:evaluate",
        "Measure how close synthetic images come to real ones as a set: FID and its relatives.",
        (
            "likeness evaluate --real train/ --synthetic synthetic/ --test test/ --out evaluation",
            "likeness evaluate --real train/ --synthetic synthetic/ --test test/ --inception "
            "pt_inception-2015-12-05-6726825d.pth",
            "likeness evaluate --real train/ --synthetic synthetic/ --onnx encoder.onnx "
            "--onnx-size 224 --dry-run",
        ),
    ),
    Verb(
        "utility",
        "likeness.cli.utility:app",
        "Train small networks on real, synthetic and both; test them on real patients.",
        (
            "likeness utility segmentation --train sets/train --synthetic samples "
            "--test sets/test --out utility",
            "likeness utility classification --train sets/train --synthetic samples "
            "--test sets/test --out utility --dry-run",
        ),
        is_group=True,
    ),
    Verb(
        "presets",
        "likeness.cli.presets:presets",
        "List the named settings of the generators.",
        ("likeness presets", "likeness presets ddpm paper-text-brats-medium"),
    ),
    Verb(
        "import-checkpoint",
        "likeness.cli.import_checkpoint:import_checkpoint",
        "Turn a network of guided-diffusion or improved-diffusion into a checkpoint.",
        (
            "likeness import-checkpoint ema_0.9999_100000.pt --resolution 256 --diffusion-steps "
            "4000 --out imported",
        ),
    ),
    Verb(
        "autoencoder",
        "likeness.cli.autoencoder:autoencoder",
        "Train an autoencoder, for features that see flipped, turned and bent copies.",
        (
            "likeness autoencoder sets/train --out autoencoder",
            "likeness autoencoder sets/train --out autoencoder --features 128 --dry-run",
        ),
    ),
    Verb(
        "measures",
        "likeness.cli.measures:measures",
        "Compare small sets by structural similarity, mutual information and others.",
        (
            "likeness measures --queries samples --references sets/train --out measures.parquet",
            "likeness measures --queries samples --references sets/train --measure "
            "ssim,autoencoder:autoencoder --out measures.parquet --dry-run",
        ),
    ),
    Verb(
        "reproduce",
        "likeness.cli.reproduce:reproduce",
        "Run the paper's experiments again, to its tables and figures.",
        (
            "likeness reproduce tiny --out tiny",
            "likeness reproduce small-cpu --data data --out small-cpu --dry-run",
            "likeness reproduce table2 --configuration paper --data data --out paper",
        ),
    ),
    Verb(
        "cite",
        "likeness.cli.cite:cite",
        "Print the methods paragraph and the citation of an audit.",
        ("likeness cite --audit audit",),
    ),
)


def build_app() -> App:
    """Return the command-line application; no verb is imported yet."""
    app = App(
        name="likeness",
        help=SUMMARY,
        help_epilogue=EXIT_CODES,
        help_format="markdown",
        version=package_version("likeness"),
        version_format="plaintext",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for position, verb in enumerate(VERBS):
        app.command(
            verb.target,
            name=verb.name,
            help=verb.summary,
            sort_key=position,
            **({} if verb.is_group else {"help_prologue": examples_text(verb)}),
        )
    return app


def examples_text(verb: Verb) -> str:
    """Return the examples of a verb, with which its help opens."""
    return "Examples:\n\n" + "\n".join(f"    {line}" for line in verb.examples)
