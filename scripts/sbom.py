"""Write a software bill of materials (CycloneDX 1.6, JSON) of the environment that runs this.

    python scripts/sbom.py sbom.json

Needs cyclonedx-bom. Names, versions, licences and sources come from the packages' own metadata.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(out: str) -> int:
    """Write it to `out`; the exit status of cyclonedx-py."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", sys.prefix]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application"]
    command += ["--spec-version", "1.6", "--output-format", "JSON", "--output-reproducible"]
    return subprocess.run([*command, "--output-file", out]).returncode  # noqa: S603 - all our own


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
