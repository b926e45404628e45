"""What the command `cvzoo` does, a module for each of its commands."""
