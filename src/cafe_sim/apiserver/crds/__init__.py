"""Custom resources: definitions, structural schemas, and the rules in them."""
