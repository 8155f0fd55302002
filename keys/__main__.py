"""`python -m keys`: the ceremony of the strongroom."""

from keys.cli import main

main()
