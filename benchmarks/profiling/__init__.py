"""Where the consumer's processor time goes."""
