"""Fast paths of the text formats: blocks of bytes parsed as arrays."""
