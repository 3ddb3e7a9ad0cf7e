"""What can go wrong, by place. `catalogue` lists all of it."""
