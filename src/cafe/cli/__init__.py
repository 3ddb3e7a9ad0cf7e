"""The `cafe` command line; it speaks HTTP to an API server and nothing else."""
