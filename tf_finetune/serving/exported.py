"""`ExportFolder`: every file of an export in one place, and what they say; read without TensorFlow.

saved_models/<name>/
  models.config                      the served versions and their labels, for tensorflow_model_server
  <version>/                         a SavedModel: saved_model.pb, variables/, assets/
    batching_params.pbtxt            for --enable_per_model_batching_parameters
    assets.extra/
      export.json                    `ExportInfo`
      answers.json                   `Answer`s of the run's own Keras model, to compare with
      tf_serving_warmup_requests     what the server runs before it says that it is ready
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tf_finetune.errors import ExportError, RunError
from tf_finetune.files import read_json, write_json
from tf_finetune.run import ModelFolder, is_version

__all__ = ["SIGNATURES", "TOLERANCE", "Answer", "ExportFolder", "ExportInfo", "find_export"]

Record = TypeVar("Record")

FORMAT = 1
"""Format of export.json and answers.json."""

SIGNATURES = ("text", "token_ids", "classify")
"""What a client may send; the first that an export has is its `serving_default`. ``text`` brings ``tokenize``."""

TOLERANCE = 1e-5
"""Largest difference of a logit with which two answers count as the same: of the export and the run, or of a text
alone and padded. They are float32; 5e-8 is usual."""


@dataclass(frozen=True)
class ExportInfo:
    """What export.json says.

    Attributes:
        version: Number of the version folder when it was written.
        name: Name of the model folder.
        run_id: Names the run that was exported.
        weights_sha256: SHA-256 of the run's weight file.
        label_names: Class names in index order.
        pairs: Whether the model takes sentence pairs.
        max_length: Longest input in tokens, special tokens included.
        truncate: Which part of a longer text is kept.
        signatures: Names of all signatures; the first is what `serving_default` is.
        padding: Input of the signature `token_ids` to the value that pads it.
        padding_side: ``right`` or ``left``.
        text_refused: Why there is no text signature; None if there is one.
        stress_texts: Hard texts of the built-in list whose token ids were equal to the run's.
        validation_texts: The run's own validation texts whose token ids were equal.
        largest_difference: Largest difference of a logit to the run's Keras model.
        padding_difference: Largest change of a logit of the Keras model by padding alone; 0 or 1e-7 but for a few
            architectures (MobileBERT looks at the next position). Above the tolerance of a check, the recorded
            answers hold for texts that are sent one by one, and batches of unequal lengths are not compared.
        packages: Package name to the version that wrote the export.
        temperature: What the graph divides the logits by before the softmax: the run's calibration. The output `logits`
            is the model's own.
        thresholds: Lowest probability with which each class is accepted, None where it never is; empty without an
            operating point, when there is no output `decision`.
    """

    version: int
    name: str
    run_id: str
    weights_sha256: str
    label_names: tuple[str, ...]
    pairs: bool
    max_length: int
    truncate: str
    signatures: tuple[str, ...]
    padding: Mapping[str, int]
    padding_side: str
    text_refused: str | None
    stress_texts: int
    validation_texts: int
    largest_difference: float
    padding_difference: float
    packages: Mapping[str, str]
    temperature: float = 1.0
    thresholds: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Answer:
    """One input and what the run's Keras model says to it, alone and unpadded.

    Attributes:
        text: The text.
        text_pair: The second text of a pair, or None.
        token_ids: One row of the signature `token_ids`: input name to its values, unpadded.
        logits: float32 `[labels]`.
        probabilities: float32 `[labels]`, calibrated as the run is.
        label_id: Index of the highest logit.
        label: Its name.
    """

    text: str
    text_pair: str | None
    token_ids: Mapping[str, Sequence[int]]
    logits: Sequence[float]
    probabilities: Sequence[float]
    label_id: int
    label: str


@dataclass(frozen=True)
class ExportFolder:
    """A version folder `saved_models/<name>/<version>` and the files in it."""

    path: Path

    @property
    def version(self) -> int:
        """The version number; an unpublished export has none.

        Raises:
            ExportError: The folder's name is no number.
        """
        if not is_version(self.path.name):
            raise ExportError(f"{self.path} is no version folder: its name is no version number.")
        return int(self.path.name)

    @property
    def saved_model(self) -> Path:
        """The graph."""
        return self.path / "saved_model.pb"

    @property
    def extra(self) -> Path:
        """Files that TensorFlow Serving carries along."""
        return self.path / "assets.extra"

    @property
    def info(self) -> Path:
        """What was exported."""
        return self.extra / "export.json"

    @property
    def answers(self) -> Path:
        """Inputs, and the answers of the run's Keras model."""
        return self.extra / "answers.json"

    @property
    def warmup(self) -> Path:
        """Requests that TensorFlow Serving runs before the version is available."""
        return self.extra / "tf_serving_warmup_requests"

    @property
    def batching(self) -> Path:
        """Batching parameters."""
        return self.path / "batching_params.pbtxt"

    def read_info(self) -> ExportInfo:
        """What export.json says.

        Raises:
            ExportError: It is missing, damaged or of another format.
        """
        info = _from_dict(ExportInfo, self._read(self.info), self.info)
        if not info.temperature > 0 or len(info.thresholds) not in (0, len(info.label_names)):
            raise ExportError(
                f"{self.info} is damaged: temperature {info.temperature}, {len(info.thresholds)} thresholds of "
                f"{len(info.label_names)} classes."
            )
        return info

    def read_answers(self) -> list[Answer]:
        """The recorded answers.

        Raises:
            ExportError: They are missing, damaged or of another format.
        """
        values = self._read(self.answers).get("answers")
        if not isinstance(values, list):
            raise ExportError(f"{self.answers} is damaged: it has no list of answers.")
        return [_from_dict(Answer, value, self.answers) for value in values]

    def write(self, info: ExportInfo, answers: Sequence[Answer]) -> None:
        """Writes export.json and answers.json."""
        self.extra.mkdir(exist_ok=True)
        self.write_info(info)
        write_json(self.answers, {"format": FORMAT, "answers": [dataclasses.asdict(answer) for answer in answers]})

    def write_info(self, info: ExportInfo) -> None:
        """Writes export.json."""
        write_json(self.info, {"format": FORMAT, **dataclasses.asdict(info)})

    def _read(self, path: Path) -> dict[str, Any]:
        if path.exists() and not path.is_file():  # reading a pipe would wait for ever
            raise ExportError(f"{self.path} is no export of ours, or it is damaged: {path} is no regular file.")
        try:
            values = read_json(path)
        except (RunError, RecursionError) as error:
            raise ExportError(f"{self.path} is no export of ours, or it is damaged: {error}") from error
        if values.pop("format", None) != FORMAT:
            raise ExportError(f"{path} is of another format than {FORMAT}, which this version of tf_finetune reads.")
        return values


def find_export(folder: str | Path) -> ExportFolder:
    """The export that a path names: a version folder, or the newest version of a model folder.

    Raises:
        ExportError: There is none.
    """
    path = ModelFolder(Path(folder)).path
    if (path / "saved_model.pb").is_file():
        return ExportFolder(path)
    versions = ModelFolder(path).versions()
    if versions:
        return ExportFolder(path / str(versions[-1]))
    if not path.is_dir():
        raise ExportError(
            f"There is no folder {path}. Expected a model folder (saved_models/NAME) or one version of it."
        )
    raise ExportError(f"{path} has no exported version. Write one: tf-finetune export {shlex.quote(str(path))}")


def _from_dict(kind: type[Record], values: Any, path: Path) -> Record:
    """A dataclass from JSON; every field without a default must be there, all with a value of their kind."""
    declared_fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    fields = {field.name: field.type for field in declared_fields}
    needed = {field.name for field in declared_fields if field.default is dataclasses.MISSING}
    if not isinstance(values, dict) or not needed <= set(values) <= set(fields):
        raise ExportError(f"{path} is damaged: expected the keys {', '.join(fields)}.")
    for name, value in values.items():
        if not _fits(value, str(fields[name])):
            raise ExportError(f"{path} is damaged: {name} is {value!r:.200}, expected {fields[name]}.")
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def _fits(value: Any, declared: str) -> bool:
    """Whether a JSON value is what the annotation of a field says, in all its elements."""
    if declared in _SCALARS:
        return type(value) in _SCALARS[declared]
    container, _, element = declared[:-1].partition("[")
    if container == "Mapping":
        kind = element.removeprefix("str, ")
        return isinstance(value, dict) and all(_fits(one, kind) for one in value.values())
    kind = element.removesuffix(", ...")
    return isinstance(value, list) and all(_fits(one, kind) for one in value)


_SCALARS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str,),
    "bool": (bool,),
    "float": (int, float),
    "str | None": (str, type(None)),
    "float | None": (int, float, type(None)),
}
"""A field's annotation -> what it is in JSON."""
