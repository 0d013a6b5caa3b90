"""The shipped wordings, one file each; a run can point at others."""
