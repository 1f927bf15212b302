"""The results as a page of Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from benchmarks.headlines import headlines
from benchmarks.results import Results
from benchmarks.serving import ServerCase
from benchmarks.stacks import ABSENT, BEHIND_NGINX, OURS, USUAL
from benchmarks.tables import pair_cell, parity_cells, share_cell, table

MB = 2**20


def markdown(results: Results, plot: str) -> str:
    """The page; `plot` is the name of the picture beside it."""
    kind = "quick run: few photos, few rounds" if results.quick else "full run"
    parts = [
        f"# AttrAI side by side with the usual stack ({kind})",
        "All figures are of one run on one machine: quote the ratios, not the times. Both sides"
        " get the same photos and settings and one thread a worker, and take turns; times are"
        " medians. The usual stack is PIL, facenet-pytorch's MTCNN and torchvision's ResNet-34"
        " in float32, with the weights that AttrAI serves.",
        "\n".join(f"- {name}: {text}" for name, text in results.about.items()),
        f"![the figures below]({plot})",
        *headlines(results),
        *_stages(results),
        *_whole(results),
        *_floors(results),
        *_servers(results),
        *_overhead(results),
        *_memory(results),
        *_scaling(results),
    ]
    return "\n\n".join(parts) + "\n"


def _stages(results: Results) -> Iterator[str]:
    if not results.stages:
        return
    yield "## By stage, in one process"
    yield (
        "Milliseconds: ours / usual (ratio). `detect` gets the same pixels on both sides, `score`"
        " the same pixels and faces; so parity is exact where `pixels` is small. `total` is what"
        " a JSON answer takes."
    )
    head = ("photo", "side", "min face", "faces", "decode", "detect", "score", "total")
    yield table(
        (*head, "unmatched", "least IoU", "pixels", "points"),
        (
            (case.photo, str(case.side), str(case.min_face), str(case.parity.faces),
             *map(pair_cell, (case.decode, case.detect, case.score, case.total)),
             *parity_cells(case.parity))
            for case in results.stages
        ),
    )  # fmt: skip


def _whole(results: Results) -> Iterator[str]:
    if not results.whole:
        return
    yield "## The whole way, in one process, at the default settings"
    yield (
        "Milliseconds: ours / usual (ratio), bytes in to bytes out. `encode` is the PNG encoder"
        " alone against PIL's default; beside it PIL's at level 1, and both files' sizes. Parity"
        " is of whole way against whole way, each with its own decoder and resampling."
    )
    head = ("photo", "faces", "JSON", "PNG", "encode", "PIL level 1", "kB ours", "kB usual")
    yield table(
        (*head, "unmatched", "least IoU", "pixels", "points"),
        (
            (case.photo, str(case.faces),
             *map(pair_cell, (case.json, case.png, case.encode)),
             f"{case.pil_level_1:.0f}", f"{case.bytes_ours / 1000:.0f}",
             f"{case.bytes_usual / 1000:.0f}", *parity_cells(case.parity))
            for case in results.whole
        ),
    )  # fmt: skip


def _floors(results: Results) -> Iterator[str]:
    if results.rates is None:
        return
    rates = results.rates
    yield "## Where the time goes"
    yield (
        "One photo of a megapixel with one face, at the default settings: what share of a JSON"
        " answer each step is, and what share of the step its arithmetic alone would take at this"
        f" core's best, {rates.float32 / 1e9:.0f} G products a second in float32,"
        f" {rates.int8 / 1e9:.0f} G in int8, {rates.copied / 1e9:.1f} GB copied. `as defined`"
        " counts the network's own products, `as done` those that are left of them."
    )
    whole = sum(step.ms for step in results.steps if step.in_json)
    yield table(
        ("step", "work", "ms", "of the answer", "floor as defined", "floor as done", "the rest"),
        (
            (step.name, step.work, f"{step.ms:.1f}", f"{step.ms / whole:.0%}",
             share_cell(step.plain_ms / step.ms if step.plain_ms else None),
             share_cell(step.floor_ms / step.ms if step.floor_ms else None), step.rest)
            for step in results.steps
        ),
    )  # fmt: skip


def _servers(results: Results) -> Iterator[str]:
    if not results.servers:
        return
    yield "## Over HTTP"
    yield (
        "Each server alone on the machine in its turn, begun anew every round; a closed loop of"
        " so many clients that keep their connection. Requests/s is the median of the rounds;"
        " p50, p95 and p99, in milliseconds, are of all answers. Ratios are to the best peer at"
        " as many workers and clients. `start` is from nothing to the first answer."
    )
    cases = [case for case in results.servers if case.rates]
    rows = []
    for case in sorted(cases, key=lambda case: case.workers):
        for clients, rates in case.rates.items():
            rate, count = statistics.median(rates), len(case.times[clients])
            best = max(_peer_rates(results, case.workers, clients), default=rate)
            times = [f"{case.percentile(clients, p):.0f}" for p in (50, 95, 99)]
            ratio, start = f"{rate / best:.2f}x", f"{statistics.median(case.starts):.1f} s"
            places = (str(case.workers), str(clients), f"{rate:.2f}", ratio)
            rows.append((case.name, *places, *times, str(count), str(case.failed), start))
    head = ("server", "workers", "clients", "requests/s", "to the best peer", "p50", "p95", "p99")
    yield table((*head, "answers", "failed", "start"), rows)
    yield "What each answers to the first photo: " + "; ".join(_answers(cases)) + "."
    missing = {case.name: case.problem for case in results.servers if case.problem} | ABSENT
    yield "Not in the table:\n\n" + "\n".join(
        f"- {name}: {reason.splitlines()[0]}" for name, reason in missing.items()
    )


def _peer_rates(results: Results, workers: int, clients: int) -> Iterator[float]:
    for case in results.servers:
        peer = case.name not in (OURS, BEHIND_NGINX)
        if peer and case.workers == workers and clients in case.rates:
            yield statistics.median(case.rates[clients])


def _answers(cases: Sequence[ServerCase]) -> Iterator[str]:
    for case in cases:
        if case.workers == 1:
            scores = [f"{face['score']:.1f}" for face in case.answer["faces"]]
            shown = ", ".join(scores[:4]) + (", …" if len(scores) > 4 else "")
            yield f"{case.name}: {len(scores)} face(s), {shown}"


def _overhead(results: Results) -> Iterator[str]:
    if not results.overhead:
        return
    yield "## What HTTP adds to the pipeline"
    yield (
        "Milliseconds of one photo at a time: the pipeline alone in a process, and the same"
        " through a server with one worker, in turns of five."
    )
    yield table(
        ("photo", "answer", "alone", "uWSGI + Flask", "adds", "nginx + uWSGI + Flask", "adds"),
        (
            (case.photo, case.format, f"{case.alone:.1f}", f"{case.direct:.1f}",
             share_cell(case.direct_adds), f"{case.nginx:.1f}" if case.nginx else "not installed",
             share_cell(case.nginx_adds))
            for case in results.overhead
        ),
    )  # fmt: skip


def _memory(results: Results) -> Iterator[str]:
    if not results.servers and not results.growth:
        return
    yield "## Memory"
    if results.servers:
        yield (
            "In MB, after a turn's load: the largest worker, and the server with all of its"
            " processes. PSS counts shared pages in parts."
        )
        rows = [
            (case.name, str(case.workers), *(
                f"{size / MB:.0f}"
                for size in (case.worker.rss, case.worker.pss, case.all.rss, case.all.pss)
            ))
            for case in results.servers
            if case.rates
        ]  # fmt: skip
        yield table(("server", "workers", "worker RSS", "worker PSS", "RSS", "PSS"), rows)
    if results.growth:
        count = results.growth[0].photos
        yield f"One worker over {count} varied photos, after some that warm up; in MB."
        yield table(
            ("server", "RSS at first", "PSS at first", "RSS warm", "grown", "at most", "failed"),
            (
                (case.name, f"{case.first.rss / MB:.0f}", f"{case.first.pss / MB:.0f}",
                 f"{case.warm / MB:.0f}", f"{case.grown / MB:+.1f}", f"{case.peak / MB:+.1f}",
                 str(case.failed))
                for case in results.growth
            ),
        )  # fmt: skip


def _scaling(results: Results) -> Iterator[str]:
    rows = []
    for case in results.servers:
        one, two = results.server(case.name, 1), results.server(case.name, 2)
        if case.workers == 1 and one and two and one.rate:
            hourly = max(one.rate, two.rate) * 3600 / results.cores
            usual = results.server(USUAL, 1), results.server(USUAL, 2)
            theirs = max((u.rate for u in usual if u), default=0) * 3600 / results.cores
            ratio = f"{hourly / theirs:.1f}x" if theirs else "-"
            rates = f"{one.rate:.2f}", f"{two.rate:.2f}", f"{two.rate / one.rate:.2f}x"
            used = statistics.median(one.processor + two.processor)
            rows.append((case.name, *rates, f"{hourly:.0f}", ratio, f"{used:.0f}"))
    if rows:
        yield "## Scaling and cost"
        yield (
            f"Requests/s at the number of clients where that is highest, on {results.cores} cores"
            " that the load itself shares; and photos that an hour of one core rates. `core ms` is"
            " the processor's time that all of a server takes for a photo."
        )
        head = ("server", "1 worker", "2 workers", "scaling", "photos a core-hour")
        yield table((*head, "to the usual stack", "core ms a photo"), rows)
