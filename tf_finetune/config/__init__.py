"""Every option of the package, checked where it enters: Python objects, YAML files, flags and assignments."""

from tf_finetune.config.resolve import resolve_config
from tf_finetune.config.sections import (
    DEFAULT_MODEL,
    RESUME_AUTO,
    Config,
    DataConfig,
    ExportConfig,
    FitConfig,
    ModelConfig,
    RunConfig,
    TokensConfig,
)
from tf_finetune.config.write import commented_config, write_config

__all__ = [
    "DEFAULT_MODEL",
    "RESUME_AUTO",
    "Config",
    "DataConfig",
    "ExportConfig",
    "FitConfig",
    "ModelConfig",
    "RunConfig",
    "TokensConfig",
    "commented_config",
    "resolve_config",
    "write_config",
]
