"""What people look at: drawn from values, without asking anybody."""
