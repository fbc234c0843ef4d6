"""Statistics of METHOD.md, pure: no files, no clock, no Spark; a random generator is passed in."""
