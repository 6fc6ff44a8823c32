"""Parameter schedulers (mmpretrain's and MMEngine's serve so far)."""
