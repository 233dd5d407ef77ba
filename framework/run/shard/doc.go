// Package shard writes a run that is cut into shards as the engines are told
// that run such parts: GitHub's job matrix, GitLab's pipeline, a Slurm array, a
// Kubernetes Indexed Job. It quotes every word for the language that it lands in,
// and runs nothing: the engines are others'.
package shard
