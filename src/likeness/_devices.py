"""Where torch computes. Only what trains or runs a network asks."""

from __future__ import annotations

from likeness.errors import MissingExtraError, OptionError


def device_named(name: str) -> str:
    """Return the device that a name means; ``auto`` is a GPU of CUDA, else the processor.

    Raises
    ------
    MissingExtraError
        If torch is absent.
    OptionError
        If this machine has none of that name.
    """
    try:
        import torch
    except ImportError as error:
        msg = "A device is chosen by torch. Install it: pip install 'likeness[generate,metrics]'."
        raise MissingExtraError(msg) from error
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        msg = f"There is no device {name!r} here ({str(error).splitlines()[0]}): choose cpu."
        raise OptionError(msg) from error
    return name
