"""``python -m tf_finetune``."""

import sys

from tf_finetune.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
