"""What every Python worker needs beside the interpreter, as paths below the page."""

from __future__ import annotations

START = "./workers/start.py"

PORT = "./runtime/worker_port.js"

WHEELS = "./vendor/wheels/wheels.json"
"""The packages that the site has itself: file names by the packages' names."""

FILES = (
    "./services/__init__.py",
    "./services/describe.py",
    "./services/errors.py",
    "./services/operation.py",
    "./services/option_types.py",
    "./services/packing.py",
    "./services/strict_json.py",
    "./services/worker_messages.py",
    "./workers/__init__.py",
    "./workers/aggregates.py",
    "./workers/conditions.py",
    "./workers/grouping.py",
    "./workers/host.py",
    "./workers/moving.py",
    "./workers/ordering.py",
    "./workers/packages.py",
    "./workers/residents.py",
    "./workers/source.py",
    "./workers/tables.py",
    "./workers/values.py",
)
"""Modules that ``start`` and the data processor import: a test holds this list complete."""
