"""``python -m archwright``."""

from archwright.cli import main

main()
