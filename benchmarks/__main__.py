"""AttrAI side by side with what users would pick instead, in one run.

    python -m benchmarks [--quick] [--only PART …] [--photos DIR] [--out DIR]

Writes a page of tables, a plot and all figures to benchmarks/results. `make bench` installs the
peers first. The full run takes half an hour on two cores that nobody else uses.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from subprocess import CalledProcessError

from benchmarks.floors import steps
from benchmarks.growth import growth_cases
from benchmarks.machine import cores, describe
from benchmarks.photos import TestPhoto, chosen
from benchmarks.plot import draw
from benchmarks.rates import measure
from benchmarks.report import markdown
from benchmarks.results import Results
from benchmarks.serving import overhead_cases, server_cases
from benchmarks.stacks import BEHIND_NGINX, OURS, PEERS, USUAL, stacks
from benchmarks.stages import stage_cases, whole_cases
from pipeline.native.library import KernelMissing
from pipeline.predictor import load_predictor
from pipeline.settings import ROOT, PipelineSettings

PARTS = ("stages", "floors", "http", "memory", "scaling")
OVER_HTTP = ("one face, 0.5 MP", "one face, 1 MP", "one face, 2 MP", "one face, 12 MP")
START = time.monotonic()


def tell(text: str) -> None:
    """A line of progress, with minutes since the start."""
    print(f"{(time.monotonic() - START) / 60:5.1f} min  {text}", flush=True)


def run(parts: list[str], photos: list[TestPhoto], results: Results) -> None:
    """Run the parts, and add what they find to the results."""
    quick, servers = results.quick, {stack.name: stack for stack in stacks()}
    # A few of the made photos, for over HTTP each of them is asked for again and again
    few = [photo for photo in photos if photo.name in OVER_HTTP] or photos[:4]
    if "stages" in parts:
        for whole in whole_cases(photos, quick=quick):
            results.whole.append(whole)
            tell(f"{whole.photo}: JSON {whole.json.ratio:.1f}x, PNG {whole.png.ratio:.1f}x")
        for case in stage_cases(photos, quick=quick):
            results.stages.append(case)
            at = f"{case.photo} at {case.side} px, min face {case.min_face}"
            tell(f"{at}: detect {case.detect.ratio:.1f}x, total {case.total.ratio:.1f}x")
    if "floors" in parts:
        try:
            results.rates = measure()
            results.steps = steps(
                min(photos, key=lambda photo: abs(photo.megapixels - 1)), results.rates
            )
        except (OSError, CalledProcessError, KernelMissing) as error:
            tell(f"no floors without a C compiler and the native kernel: {error}")
    if "http" in parts:
        ours, behind = servers[OURS], servers[BEHIND_NGINX]
        for added in overhead_cases(ours, behind, few, quick=quick):
            results.overhead.append(added)
            tell(f"{added.photo}, {added.format}: HTTP adds {added.direct / added.alone - 1:.1%}")
    if "http" in parts or "scaling" in parts:
        every = list(servers.values())
        wanted = every if "http" in parts else [servers[name] for name in (OURS, USUAL)]
        results.servers = server_cases(wanted, few, quick=quick, tell=tell)
    if "memory" in parts:
        wanted = [servers[name] for name in (OURS, USUAL)]
        results.growth = growth_cases(wanted, photos[0], quick=quick, tell=tell)


def main(arguments: list[str] | None = None) -> int:
    """The command line; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="a few minutes: a look, no figures")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART",
                        help=f"of {', '.join(PARTS)}")  # fmt: skip
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photos to use instead")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", metavar="DIR")
    options = parser.parse_args(arguments)
    # To end like Ctrl-C does: with the servers that were started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        photos = chosen(options.photos, quick=options.quick)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    parts = [part for part in PARTS if part in options.only]
    ours = load_predictor(PipelineSettings())
    about = describe(PEERS) | {
        "AttrAI": f"detector on {ours.detector.engine}, scorer {PipelineSettings().scorer.model}",
        "photos": str(options.photos or "made from scikit-image's astronaut"),
    }
    results = Results(about, cores(), options.quick)
    for name, text in results.about.items():
        tell(f"{name}: {text}")
    run(parts, photos, results)
    stem = "-".join(
        ["quick" if options.quick else "full", *(parts if len(parts) < len(PARTS) else ())]
    )
    options.out.mkdir(parents=True, exist_ok=True)
    results.write(options.out / f"{stem}.json")
    draw(results, options.out / f"{stem}.svg")
    page = options.out / f"{stem}.md"
    page.write_text(markdown(results, f"{stem}.svg"), encoding="utf-8")
    tell(f"done: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
