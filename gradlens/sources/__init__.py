"""Where bytes come from: files, folders, globs, standard input, URLs, packed files."""
