"""Files on other machines and in object stores, named by addresses and read through fsspec."""
