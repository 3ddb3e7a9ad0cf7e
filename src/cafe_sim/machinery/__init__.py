"""What the simulated cluster's parts are built from: caches, a work queue, events, and words for objects."""
