"""The pages of docs/ and the README as tests see them: their blocks, and the cluster beside which commands are run."""
