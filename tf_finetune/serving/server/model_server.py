"""TensorFlow Serving itself: the commands that run it on a model folder, and running its binary."""

from __future__ import annotations

import http.client
import json
import logging
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tf_finetune.errors import ServingError
from tf_finetune.serving.exported import ExportFolder
from tf_finetune.serving.formats.models_config import ModelsConfig, read_models_config, write_models_config
from tf_finetune.serving.formats.op_releases import load_op_table, serving_releases
from tf_finetune.serving.formats.saved_model_file import read_saved_model
from tf_finetune.serving.server.aspired import Source
from tf_finetune.serving.server.signals import on_signals

__all__ = ["BINARY", "ModelServer", "find_binary"]

logger = logging.getLogger(__name__)

BINARY = "tensorflow_model_server"

IMAGE = "tensorflow/serving"

RELEASE = "2.20.0"
"""Tag of the image: TensorFlow Serving's newest release when this was written."""

IMAGE_REST_PORT, IMAGE_GRPC_PORT = 8501, 8500
"""Ports inside the image (tools/docker/Dockerfile)."""

LAST_LINES = 20
"""Lines of the binary's output that an error repeats."""

LOOK_SECONDS = 0.2
"""Seconds between two looks whether the binary is ready, or has ended."""


@dataclass(frozen=True)
class ModelServer:
    """How TensorFlow Serving is to run.

    Attributes:
        source: What to serve.
        host: Address at which Docker publishes the ports; the binary itself always listens on all.
        port: Port of the REST API.
        grpc_port: Port of the gRPC API.
        poll_seconds: Seconds between two looks into the model folder.
        timeout_seconds: Seconds until a request over REST is given up.
    """

    source: Source
    host: str
    port: int
    grpc_port: int
    poll_seconds: int
    timeout_seconds: float

    @property
    def url(self) -> str:
        """The base URL on this machine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def status_path(self) -> str:
        """Path of the model's status in the REST API."""
        return f"/v1/models/{quote(self.source.folder.name)}"

    def docker_command(self) -> list[str]:
        """Runs the image, with the model folder mounted read-only.

        Raises:
            ServingError: models.config is damaged, no release registers all ops, or Docker cannot mount the path.
        """
        folder = self.source.folder.path
        target, flags = f"/models/{self.source.folder.name}", []
        if self.source.config.is_file():
            target = self._read_config(self.source.config).base_path
            flags = self._config_flags(f"{target}/{self.source.config.name}")
        if not target.startswith("/") or any(sign in f"{folder}{target}" for sign in ',"'):
            raise ServingError(f"Docker cannot mount {folder} at {target}: expected paths without comma and quote.")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return [
            *("docker", "run", "--rm"),
            *("-p", f"{host}:{self.port}:{IMAGE_REST_PORT}"),
            *("-p", f"{host}:{self.grpc_port}:{IMAGE_GRPC_PORT}"),
            *("--mount", f"type=bind,source={folder},target={target},readonly"),
            *("-e", f"MODEL_NAME={self.source.folder.name}"),
            f"{IMAGE}:{self._release()}",
            *self._common_flags(),
            *flags,
        ]

    def binary_command(self, config: Path | None = None) -> list[str]:
        """Runs the binary.

        Args:
            config: A models.config to use; by default that of the model folder, if there is one.

        Raises:
            ServingError: models.config is damaged, or was written for another folder.
        """
        config = config or (self.source.config if self.source.config.is_file() else None)
        name, folder = self.source.folder.name, str(self.source.folder.path)
        if config is None:
            model = [f"--model_name={name}", f"--model_base_path={folder}"]
        else:
            base_path = self._read_config(config).base_path
            if base_path != folder:
                raise ServingError(
                    f"{config} is for {base_path}, but the folder is {folder}. "
                    f"Write it again: tf-finetune promote {shlex.quote(folder)} N --base-path {shlex.quote(folder)}"
                )
            model = self._config_flags(str(config))
        ports = [f"--rest_api_port={self.port}", f"--port={self.grpc_port}"]
        return [BINARY, *ports, *self._common_flags(), *model]

    def run(self, on_available: Callable[[], None]) -> int:
        """Runs the binary until it ends; SIGTERM and SIGINT are passed on to it.

        Args:
            on_available: Called when the model answers.

        Returns:
            Its exit code; 128 and the signal's number if a signal ended it.

        Raises:
            ServingError: It ended before the model was available.
        """
        with self._config() as config:
            process = subprocess.Popen(
                self.binary_command(config), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            with process, on_signals(process.send_signal):
                try:
                    return self._watch(process, on_available)
                finally:
                    process.kill()  # does nothing if it has ended

    def _watch(self, process: subprocess.Popen[bytes], on_available: Callable[[], None]) -> int:
        last: deque[str] = deque(maxlen=LAST_LINES)
        reader = threading.Thread(target=_keep_last, args=(process, last), daemon=True)
        reader.start()
        available = False
        while True:
            try:
                code = process.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if not available and _is_available(self.port, self.status_path):
                    available = True
                    on_available()
                continue
            reader.join()
            if code != 0 and not (available and code < 0):
                output = "\n".join(last) or "(no output)"
                if not available:
                    raise ServingError(f"{BINARY} ended with code {code} before the model was available:\n{output}")
                logger.error("%s ended with code %d:\n%s", BINARY, code, output)
            return code if code >= 0 else 128 - code

    @contextmanager
    def _config(self) -> Iterator[Path | None]:
        """A models.config that pins the version, if only one is to be served."""
        if self.source.version is None:
            yield None
            return
        with tempfile.TemporaryDirectory(prefix="tf-finetune-serve-") as folder:
            path = Path(folder) / self.source.config.name
            model = self.source.folder
            write_models_config(path, ModelsConfig(model.name, str(model.path), versions=(self.source.version,)))
            yield path

    def _read_config(self, path: Path) -> ModelsConfig:
        """A models.config of this model.

        Raises:
            ServingError: It is damaged, or of another model.
        """
        config = read_models_config(path)
        if config.name != self.source.folder.name:
            raise ServingError(
                f"{path} is for the model {config.name}, but the folder is {self.source.folder.path}. Remove it, and "
                "promote a version again."
            )
        return config

    def _common_flags(self) -> list[str]:
        return [
            f"--file_system_poll_wait_seconds={self.poll_seconds}",
            f"--rest_api_timeout_in_ms={int(self.timeout_seconds * 1000)}",
        ]

    def _config_flags(self, config: str) -> list[str]:
        """Flags for a models.config; without the last, the server refuses every label at its start."""
        return [
            f"--model_config_file={config}",
            f"--model_config_file_poll_wait_seconds={self.poll_seconds}",
            "--allow_version_labels_for_unavailable_models=true",
        ]

    def _release(self) -> str:
        """The release of the image: one that registers all ops of the versions that are served."""
        releases = list(load_op_table())  # "2.5", ...
        image = releases.index(RELEASE.rpartition(".")[0])
        for version in self.source.aspired().versions:
            path = ExportFolder(self.source.version_folder(version)).saved_model
            oldest = serving_releases(read_saved_model(path).ops).oldest
            if oldest is None or releases.index(oldest) > image:
                raise ServingError(f"{path}: TensorFlow Serving {RELEASE} does not register all of its ops.")
        return RELEASE


def find_binary() -> str | None:
    """Path of tensorflow_model_server, if it is on the PATH."""
    return shutil.which(BINARY)


def _keep_last(process: subprocess.Popen[bytes], last: deque[str]) -> None:
    for line in process.stdout or ():
        text = line.decode("utf-8", "replace").rstrip()
        last.append(text)
        logger.debug("%s", text)


def _is_available(port: int, status_path: str) -> bool:
    """Whether the server on this machine says that a version of the model is available."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", status_path)
        states = json.loads(connection.getresponse().read(1 << 20))["model_version_status"]
        return any(state["state"] == "AVAILABLE" for state in states)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return False  # not yet
    finally:
        connection.close()
