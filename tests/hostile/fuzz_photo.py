"""Coverage-guided fuzzing of the decoder, by hand: Atheris, of PyPI, is not in the lock.

    pip install atheris==3.0.0
    python -m tests.hostile.fuzz_photo FOLDER -max_total_time=3600 -max_len=20000

FOLDER gathers what reached new code; a crash, a hang and an error that is none of PhotoError's
children end the run, and leave the input behind. `--keep FOLDER` then copies what is small to
corpus/, which test_images.py replays. What it mutates are pictures of nothing.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
MOST = 100_000
"""Bytes of the corpus that is kept."""


def fuzz(arguments: list[str]) -> None:
    """Run libFuzzer with its `arguments`, the folder first."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["PIL", "pipeline"]):
        from pipeline.errors import PhotoError
        from pipeline.photo import read_photo
        from pipeline.settings import PhotoSettings
        from tests.hostile.seeds import seeds, synthetic
    from tests.pipeline.pictures import with_sound_checksums

    settings = PhotoSettings(max_pixels=4_000_000)  # lest sheer size make each trial slow

    def try_one(data: bytes) -> None:
        try:
            photo = read_photo(data, settings)
        except PhotoError:
            return
        height, width, channels = photo.pixels.shape
        if channels != 3 or max(width, height) > settings.working_side:
            raise AssertionError(photo.pixels.shape)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        mutant: bytes = atheris.Mutate(data, max_size)
        # Three in four with sound checksums, so that the damage gets past them.
        if seed % 4 and mutant.startswith(b"\x89PNG\r\n\x1a\n"):
            return with_sound_checksums(mutant)[:max_size]
        return mutant

    folder = Path(arguments[0])
    folder.mkdir(exist_ok=True)
    for name, data in seeds(synthetic()).items():
        (folder / name.replace(" ", "-")).write_bytes(data)
    command = [sys.argv[0], *arguments, f"-artifact_prefix={folder.parent}/"]
    atheris.Setup(command, try_one, custom_mutator=mutate)
    atheris.Fuzz()


def keep(folder: Path) -> None:
    """Copy what libFuzzer found, the smallest files first, to the corpus, as many as fit."""
    # Its files are named by their hashes; the others are seeds, which code makes.
    found = [file for file in folder.iterdir() if re.fullmatch("[0-9a-f]{40}", file.name)]
    size = 0
    for file in sorted(found, key=lambda file: (file.stat().st_size, file.name)):
        size += file.stat().st_size
        if size > MOST:
            break
        (CORPUS / file.name[:16]).write_bytes(file.read_bytes())


if __name__ == "__main__":
    if sys.argv[1] == "--keep":
        keep(Path(sys.argv[2]))
    else:
        fuzz(sys.argv[1:])
