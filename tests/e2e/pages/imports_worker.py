"""A worker that tells what it has imported from the sources of the standard library."""

import sys

from services.operation import operation


@operation
def compiled_here():
    """Return the modules of the standard library that were compiled in this interpreter."""
    # The paths of frozen modules are those of sources too, but nobody reads these.
    return sorted(
        name
        for name, module in sys.modules.items()
        if (getattr(module, "__file__", None) or "").startswith("/lib/")
        and module.__file__.endswith(".py")
        and module.__spec__.origin != "frozen"
    )
