"""Is the data sound? Balance, lengths, repeats, leaks, labels and odd texts, before anything is trained."""
