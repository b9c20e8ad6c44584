"""TensorBoard event files: records, their checksums and what is decoded from them."""
