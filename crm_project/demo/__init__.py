"""What `make run` shows: some data, and the processes of an embedded installation."""
