"""What the tests of hostile input share with those of the deployment."""

from __future__ import annotations

from tests.deploy.conftest import figure, fresh_tree, machine, scale

__all__ = ["figure", "fresh_tree", "machine", "scale"]
