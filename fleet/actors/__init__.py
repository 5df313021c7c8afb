"""The actors: one supervised task for each session, instance, workspace and webhook, and the use cases of callers."""
