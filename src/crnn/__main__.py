"""``python -m crnn`` is the command ``crnn``."""

from crnn.cli import main

main()
