"""The projector: a long-running Faust daemon that folds the stream of events into balance summaries."""
