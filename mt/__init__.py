"""mt: train, evaluate, compare and use recurrent sequence-to-sequence translation models."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mt.translator import Translation, Translator

__version__ = "0.1.0"
__all__ = ["Translation", "Translator", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the public classes when they are asked for, since torch takes a second to import."""
    if name in ("Translation", "Translator"):
        from mt import translator

        return getattr(translator, name)
    raise AttributeError(f"module 'mt' has no attribute {name!r}")
