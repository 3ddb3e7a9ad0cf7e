"""What must hold whatever fails: at every commit against the truth, and once the world has healed."""
