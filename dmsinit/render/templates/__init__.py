"""Templates and their manifest: from the context to the text of files."""
