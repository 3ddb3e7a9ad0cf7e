"""The patch types of the API: JSON patch, strategic merge, apply. Merge patches are in `values.merge`."""
