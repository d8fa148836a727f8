"""The command line: reads arguments, calls the library, prints. It holds no logic of its own."""
