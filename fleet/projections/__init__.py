"""The projections: disposable views of the log, each rebuilt from it when its version changes or its file is gone."""
