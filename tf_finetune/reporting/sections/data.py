"""What is wrong with the data."""

from __future__ import annotations

from tf_finetune.audit.audit import Audit, audit
from tf_finetune.audit.html import detail_sections, overview
from tf_finetune.audit.lengths import measure_lengths
from tf_finetune.files import read_json
from tf_finetune.model.architectures import longest_input
from tf_finetune.pages.page import escaped, section
from tf_finetune.reporting.reported import Reported
from tf_finetune.reporting.run_data import RunData
from tf_finetune.run import Manifest, ModelFolder
from tf_finetune.tokens.tokenizer import load_tokenizer

__all__ = ["audit_run", "data_section"]

HEADING = "Data audit"


def audit_run(model: ModelFolder, manifest: Manifest, data: RunData) -> Audit | None:
    """Looks at the data of the run as `inspect` does; None if it is not all there.

    Args:
        model: The model folder.
        manifest: Its manifest.
        data: The data of the run.

    Raises:
        RunError: The run is damaged.
        TokenizerError: Its tokenizer cannot be used.
    """
    if data.reason:
        return None
    tokenizer = load_tokenizer(model.tokenizer, max_length=manifest.max_length, truncate=manifest.truncate)
    lengths = measure_lengths(
        data.splits["train"],
        tokenizer,
        model=model.name,
        longest=longest_input(read_json(model.model / "config.json")),
        max_length=manifest.max_length,
        truncate=manifest.truncate,
    )
    return audit(data.splits, lengths=lengths, notes=data.notes)


def data_section(found: Reported, audit: Audit | None) -> str:
    """What the audit found; the rows behind a fold.

    Args:
        found: What the report is about.
        audit: What was found; None without the data.
    """
    if audit is None:
        return section(HEADING, f"<p>Not known without the data. {escaped(found.data.reason)}</p>", anchor="data")
    rows = "".join(detail_sections(audit)).replace("<h2>", "<h3>").replace("</h2>", "</h3>")  # texts are escaped
    fold = f"<details><summary>All that was found, row by row</summary>{rows}</details>"
    return section(HEADING, overview(audit), fold, anchor="data")
