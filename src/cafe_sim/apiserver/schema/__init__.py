"""What the fields of objects are: for decoding, defaulting, merging and explaining."""
