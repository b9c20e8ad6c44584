"""What trainers print: lines of any console log to columns."""
