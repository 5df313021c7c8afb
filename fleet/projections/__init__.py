"""What is read: disposable views over the log, each rebuilt from it when its version changes or its file is gone."""
