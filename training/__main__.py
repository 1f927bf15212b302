"""The workshop: rated photos in, a scorer out.

python -m training COMMAND …, in the order of the work:

  dataset   check rated photos, cut their faces, write a balance report
  train     train a scorer on them
  export    write a scorer as a model that serves
  evaluate  measure scorers: by set and group, calibration, worst misses
  try       rate a folder of new photos with two models side by side
"""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "dataset": "training.dataset",
    "train": "training.train",
    "export": "training.export",
    "evaluate": "training.evaluate",
    "try": "training.side_by_side",
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the command line names."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] not in COMMANDS:
        print(__doc__)
        sys.exit(0 if given and given[0] in {"-h", "--help"} else 2)
    # Not all at once: PyTorch alone takes seconds.
    command = importlib.import_module(COMMANDS[given[0]])
    parser = argparse.ArgumentParser(
        prog=f"python -m training {given[0]}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    command.main(parser.parse_args(given[1:]))


if __name__ == "__main__":
    main()
