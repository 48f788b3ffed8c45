"""What all runtimes of a runner share: loaded models, and batches across jobs. Knows no ML library."""
