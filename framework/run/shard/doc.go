// Package shard writes CI and cluster job definitions that run the shards of a run: a
// GitHub job matrix, a GitLab pipeline, a Slurm array, a Kubernetes Indexed Job. It
// quotes every word for the language of its output. It runs nothing.
package shard
