"""The documents that ship with aemon: one Markdown file a topic."""
