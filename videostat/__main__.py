"""python -m videostat."""

from videostat.commands import main

main()
