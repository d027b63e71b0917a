"""The command line: one command a file, thin halves of public functions. Results go to stdout, talk to stderr."""
