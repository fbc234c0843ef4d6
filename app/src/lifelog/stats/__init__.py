"""Statistics, pure: no files, no clock, no Spark; a random generator is passed in."""
