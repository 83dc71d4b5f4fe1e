//! What a running model does over time: samples, history, alerts, summaries, export.
#![forbid(unsafe_code)]
