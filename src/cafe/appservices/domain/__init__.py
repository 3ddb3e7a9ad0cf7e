"""Pure decisions: facts in, a decision with its reason out. No I/O, no clock, no chance, no logging."""
