"""The command line: commands build objects and call one function each."""
