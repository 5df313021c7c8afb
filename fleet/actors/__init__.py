"""Actors: one supervised trio task per session, instance and workspace, and the toolkit that they stand on."""
