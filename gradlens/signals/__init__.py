"""One time axis for all columns, and what is known of the norm and the threshold."""
