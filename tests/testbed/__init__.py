"""Real servers for tests: a Kubernetes cluster, a Git forge, helm. See README.md."""
