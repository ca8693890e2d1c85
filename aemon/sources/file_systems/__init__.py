"""Files of other machines and of object stores, by address, read through fsspec."""
