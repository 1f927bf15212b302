"""Photos that are meant to do harm: none ends the process, keeps it busy, fills it or is a 5xx.

In `make test` the first few hundred of the damaged photos, in `make soak` all 20,000.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

import pipeline.errors
from pipeline.errors import PhotoError
from tests.conftest import SOAK
from tests.hostile.bombs import COSTLY, POLYGLOTS
from tests.hostile.fuzz_photo import CORPUS, MOST
from tests.hostile.fuzzer import mutant
from tests.hostile.seeds import seeds, synthetic
from tests.hostile.trials import Outcome, Victim

Figure = Callable[[str, str], None]
Scale = Callable[[int, int], int]

SECONDS = 2.0 if SOAK else 6.0
"""Of computing, for one photo; what else runs on a machine must not break `make test`."""
PICTURE_SECONDS = 8.0
"""Where a picture is the answer: a few bytes can ask for 50 megapixels to be encoded."""
MEBIBYTES = 1600
"""With the models, at most; a sound photo of 50 megapixels takes most of it, as a WebP."""
GROWTH = 250
"""MiB that may stay behind, however many photos there were."""
REFUSALS = {
    name
    for name, value in vars(pipeline.errors).items()
    if isinstance(value, type) and issubclass(value, PhotoError)
}
CLIENTS_FAULT = {400, 413, 415, 422}


@pytest.fixture
def victim() -> Iterator[Victim]:
    with Victim() as victim:
        yield victim


@pytest.fixture(scope="module")
def one_victim() -> Iterator[Victim]:
    """The same process for all photos that leave nothing to be measured of its growth."""
    with Victim() as victim:
        yield victim


def told(outcomes: list[Outcome]) -> str:
    """The figures of a run."""
    counts = Counter(str(outcome.outcome) for outcome in outcomes)
    most = max(outcomes, key=lambda outcome: outcome.cpu)
    wall = max(outcome.wall for outcome in outcomes)
    return (
        f"{len(outcomes)}: {', '.join(f'{n} {name}' for name, n in counts.most_common())};"
        f" at most {most.cpu:.2f} s of computing ({most.trial}), {wall:.2f} s in all;"
        f" {outcomes[-1].peak // 1024} MiB at most, {outcomes[-1].resident // 1024} at the end"
    )


def limit(outcome: Outcome) -> float:
    picture = str(outcome.trial.get("accept", "")).startswith("image/")
    return PICTURE_SECONDS if picture and outcome.outcome == 200 else SECONDS


def hold(outcomes: list[Outcome], accepted: set[str] | set[int]) -> None:
    assert [outcome for outcome in outcomes if outcome.outcome not in accepted] == []
    assert [outcome for outcome in outcomes if outcome.cpu > limit(outcome)] == []
    assert outcomes[-1].peak < MEBIBYTES * 1024


def growth(outcomes: list[Outcome]) -> int:
    """MiB that the process has grown by since its first hundred photos."""
    early = max(outcome.resident for outcome in outcomes[: len(outcomes) // 10])
    return (min(outcome.resident for outcome in outcomes[-20:]) - early) // 1024


def test_a_number_is_a_photo() -> None:
    first = [mutant(number) for number in range(200)]
    assert first == [mutant(number) for number in range(200)]
    assert len({photo.data for photo in first}) > 150
    kinds = {photo.name.partition(" on ")[0] for photo in first}
    assert len(kinds) > 12, kinds


def test_the_decoder_survives_damaged_photos(victim: Victim, scale: Scale, figure: Figure) -> None:
    outcomes = victim.attempt_all({"mutant": number} for number in range(scale(300, 20_000)))
    hold(outcomes, REFUSALS | {"photo"})
    kinds = Counter(outcome.outcome for outcome in outcomes)
    assert kinds["photo"] > len(outcomes) // 10, "the damage must leave something to decode"
    assert kinds["UndecodablePhoto"] > len(outcomes) // 10
    assert growth(outcomes) < GROWTH
    figure("damaged photos, decoded", told(outcomes))


def test_the_service_survives_damaged_photos(victim: Victim, scale: Scale, figure: Figure) -> None:
    victim.attempt(mutant=0, service=True)  # loads the models
    outcomes = victim.attempt_all(
        {"mutant": number, "service": True, "accept": accept}
        for number in range(1, scale(100, 20_000))
        for accept in [("application/json", "image/webp", "image/png", "image/jpeg")[number % 4]]
    )
    hold(outcomes, CLIENTS_FAULT | {200})
    for outcome in outcomes:
        assert outcome.type == (
            outcome.trial["accept"] if outcome.outcome == 200 else "application/problem+json"
        )
    assert any(outcome.faces for outcome in outcomes), "some must get as far as the scorer"
    assert growth(outcomes) < GROWTH
    figure("damaged photos, posted", told(outcomes))


@pytest.mark.parametrize("name", COSTLY)
def test_a_photo_made_to_cost_costs_little(one_victim: Victim, name: str, figure: Figure) -> None:
    outcome = one_victim.attempt(bomb=name)
    assert outcome.bytes <= 16 * 1024 * 1024
    assert outcome.outcome in REFUSALS | {"photo"}
    # Even in the soak: those that are sound and as large as can be compute for two seconds.
    assert outcome.cpu < 6
    assert outcome.peak < MEBIBYTES * 1024
    figure(name, f"{outcome.bytes} bytes, {outcome.outcome}, {outcome.cpu:.2f} s of computing")


@pytest.mark.parametrize("name", POLYGLOTS)
def test_a_file_of_two_kinds_is_the_photo_that_it_begins_as(one_victim: Victim, name: str) -> None:
    outcome = one_victim.attempt(bomb=name)
    begins_as_a_photo = POLYGLOTS[name]().startswith((b"\x89PNG", b"\xff\xd8\xff", b"RIFF"))
    assert outcome.outcome in ({"photo", "UndecodablePhoto", "UnknownImageType"}
                               if begins_as_a_photo else {"UnknownImageType"})  # fmt: skip


def test_no_decoder_but_those_three_is_ever_asked(one_victim: Victim) -> None:
    for name in ("an EPS", "an SVG", "a GIF that goes on as a JPEG", "a RIFF that is a film"):
        assert one_victim.attempt(bomb=name).outcome == "UnknownImageType"


def test_the_corpus_of_the_guided_fuzzer_is_survived(one_victim: Victim) -> None:
    files = sorted(CORPUS.iterdir())
    assert len(files) > 20
    assert sum(file.stat().st_size for file in files) <= MOST
    outcomes = one_victim.attempt_all({"file": str(file)} for file in files)
    hold(outcomes, REFUSALS | {"photo"})


@pytest.mark.parametrize("kind", seeds(synthetic()))
def test_what_is_damaged_was_sound(
    one_victim: Victim, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("seeds") / "photo"
    file.write_bytes(seeds(synthetic())[kind])
    moving = kind in ("apng", "webp animated")
    assert one_victim.attempt(file=str(file)).outcome == ("UnknownImageType" if moving else "photo")


def test_what_kills_the_process_is_seen_and_named(one_victim: Victim) -> None:
    with pytest.raises(AssertionError, match=r"'nowhere'.* ended the process"):
        one_victim.attempt(bomb="nowhere")
    assert one_victim.attempt(mutant=1).bytes > 0
