"""How training went."""

from __future__ import annotations

from tf_finetune.pages.page import section
from tf_finetune.reporting.plots.learning import plot_loss, plot_scores
from tf_finetune.reporting.reported import Reported

__all__ = ["learning_section"]


def learning_section(found: Reported) -> str:
    """Learning curves."""
    pictures = "".join(plot(found.history, best_epoch=found.best_epoch) for plot in (plot_loss, plot_scores))
    caption = (
        "The training values are means over the epoch, while the model learned; the validation values are from its "
        "end. A validation loss that rises while the training loss falls shows a model that learns rows by heart."
    )
    figure = f'<figure><div class="panels">{pictures}</div><figcaption>{caption}</figcaption></figure>'
    return section("Learning curves", figure, anchor="learning")
