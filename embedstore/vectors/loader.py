"""What loads the model of an encode run: a value that can be sent to another process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from embedstore.encoders import Described, Encoder, Precision
from embedstore.vectors.models import Models

__all__ = ["Loader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """A described checkpoint, or an encoder of the user's own, and how to compute with it; call it to load the model.

    Nothing that is loaded is sent to another process.

    Attributes
    ----------
    models : Models
        The loaded models of this process, with the own encoder if there is one.
    described : Described
        The checkpoint.
    backend, device, batch_size, precision
        As in `embedstore.encoders.load`.
    """

    models: Models
    described: Described
    backend: str = "auto"
    device: str | None = None
    batch_size: int | None = None
    precision: Precision = "auto"

    def __call__(self, sample: Sequence[str], *, few: Callable[[], Sequence[str]] | None = None) -> Encoder:
        """Return the model, loaded once in this process; see `Models.load`."""
        return self.models.load(
            self.described,
            sample,
            few=few,
            backend=self.backend,
            device=self.device,
            batch_size=self.batch_size,
            precision=self.precision,
        )
