"""What was made: on the Create page and in the Library."""
