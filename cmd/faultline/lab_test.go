package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source"
)

// TestLab runs a job of a stand-in for KernelCI's API: it downloads a real kernel, observes it
// in a guest, and reports the result. The protocol itself is tested in framework/run/lab.
func TestLab(t *testing.T) {
	if testing.Short() {
		t.Skip("boots real guests; not with -short")
	}
	k, err := source.Resolve(t.Context(), "apt:bookworm", kernels.Options{Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	files := t.TempDir()
	root := filepath.Dir(k.Image)
	if out, err := exec.CommandContext(t.Context(), "tar", "-cf", filepath.Join(files, "modules.tar"), "-C", root, "lib").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, from := range map[string]string{"image": k.Image, "config": filepath.Join(root, "config")} {
		if err := os.Symlink(from, filepath.Join(files, name)); err != nil {
			t.Fatal(err)
		}
	}

	var mu sync.Mutex
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	url := server.URL
	job := map[string]any{
		"id": "64ab", "kind": "job", "state": "available", "parent": "build",
		"artifacts": map[string]any{"job_definition": url + "/job.json"},
		"data":      map[string]any{"runtime": "lab", "platform": "qemu"},
	}
	answer := func(w http.ResponseWriter, v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	locked := func(f http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { mu.Lock(); defer mu.Unlock(); f(w, r) }
	}
	mux.Handle("GET /files/", http.StripPrefix("/files/", http.FileServer(http.Dir(files))))
	mux.HandleFunc("GET /job.json", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"artifacts": {"kernel": "%[1]s/files/image", "modules": "%[1]s/files/modules.tar"},
			"tests": [{"id": "x", "type": "faultline", "timeout_s": 3600}], "environment": {"arch": "x86_64"}}`, url)
	})
	mux.HandleFunc("GET /latest/events", locked(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, []any{map[string]any{"timestamp": "2026-11-30T00:00:00", "node": job}})
	}))
	mux.HandleFunc("GET /latest/node/64ab", locked(func(w http.ResponseWriter, _ *http.Request) { answer(w, job) }))
	mux.HandleFunc("GET /latest/node/build", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"id": "build", "kind": "kbuild", "artifacts": map[string]any{"_config": url + "/files/config"}})
	})
	mux.HandleFunc("PUT /latest/node/64ab", locked(func(w http.ResponseWriter, r *http.Request) {
		job = map[string]any{"id": "64ab"}
		if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
			t.Error(err)
		}
		answer(w, job)
	}))

	out := filepath.Join(t.TempDir(), "lab")
	cmd := command(t, "lab", "--api", url+"/latest", "--runtime", "lab", "--once", "--out", out, "--accel=tcg", "--scenario=dax/ext4/shared-read", "--origin", "ours")
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	mu.Lock()
	defer mu.Unlock()
	if job["state"] != "done" || job["result"] != "pass" {
		t.Errorf("got the node %v; output: %s", job, text)
	}
	report, err := os.ReadFile(filepath.Join(out, "64ab", "kcidb.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Builds []any `json:"builds"`
		Tests  []struct {
			BuildID string `json:"build_id"`
			Origin  string `json:"origin"`
			Path    string `json:"path"`
			Status  string `json:"status"`
		} `json:"tests"`
	}
	if err := json.Unmarshal(report, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Builds) != 0 || len(got.Tests) != 1 || fmt.Sprint(got.Tests[0]) != "{maestro:build ours faultline.dax.ext4.shared-read PASS}" {
		t.Errorf("kcidb.json has %+v", got)
	}
	if !strings.Contains(string(text), "job 64ab: pass") {
		t.Errorf("got the output %s", text)
	}
}
