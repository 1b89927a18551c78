"""The commands: the only place for argparse, Hydra, print and exit codes."""
