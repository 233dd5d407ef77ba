package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/internal/errkind"
)

// standIn stands in for the API and for the server of job definitions. It has the parts of
// the protocol that a lab uses.
type standIn struct {
	*httptest.Server
	t  *testing.T
	mu sync.Mutex
	// nodes by id, and the events about them, in order.
	nodes  map[string]map[string]any
	events []map[string]any
	files  map[string]string // definitions
	// before is called before an answer; it may answer by itself.
	before func(w http.ResponseWriter, r *http.Request) (answered bool)
	puts   int
}

const token = "secret"

func newStandIn(t *testing.T) *standIn {
	s := &standIn{t: t, nodes: map[string]map[string]any{}, files: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /latest/events", s.getEvents)
	mux.HandleFunc("GET /latest/node/{id}", s.getNode)
	mux.HandleFunc("PUT /latest/node/{id}", s.putNode)
	mux.HandleFunc("GET /definitions/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token was sent to another server")
		}
		text, ok := s.files[r.PathValue("name")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text)
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.before != nil && s.before(w, r) {
			return
		}
		if strings.HasPrefix(r.URL.Path, "/latest/") && r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, `{"detail":"Could not validate credentials"}`, http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func answer(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func (s *standIn) getEvents(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("state") != "available" || q.Get("kind") != "job" || q.Get("recursive") != "true" {
		s.t.Errorf("query %s", r.URL.RawQuery)
	}
	limit, _ := strconv.Atoi(q.Get("limit"))
	all := []map[string]any{}
	for _, e := range s.events {
		if e["timestamp"].(string) >= q.Get("from") && len(all) < limit { // inclusive: events come again
			e = maps.Clone(e)
			e["node"] = s.nodes[e["id"].(string)]
			all = append(all, e)
		}
	}
	answer(w, all)
}

func (s *standIn) getNode(w http.ResponseWriter, r *http.Request) {
	n, ok := s.nodes[r.PathValue("id")]
	if !ok {
		http.Error(w, `{"detail":"Node not found"}`, http.StatusNotFound)
		return
	}
	answer(w, n)
}

func (s *standIn) putNode(w http.ResponseWriter, r *http.Request) {
	s.puts++
	id := r.PathValue("id")
	var n map[string]any
	if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
		s.t.Error(err)
	}
	for _, f := range readOnly {
		if _, ok := n[f]; ok {
			http.Error(w, `{"detail":"read-only field `+f+`"}`, http.StatusUnprocessableEntity)
			return
		}
	}
	if from := s.nodes[id]["state"]; from == "done" {
		http.Error(w, `{"detail":"no transition from done"}`, http.StatusBadRequest)
		return
	}
	n["id"], n["owner"] = id, s.nodes[id]["owner"]
	s.nodes[id] = n
	answer(w, n)
}

// job adds a job whose definition is text, and its event.
func (s *standIn) job(id, text string) map[string]any {
	n := map[string]any{
		"id": id, "kind": "job", "name": "poison", "state": "available", "parent": "build", "owner": "pipeline", "group": "g",
		"artifacts": map[string]any{"job_definition": s.URL + "/definitions/" + id + ".json", "metadata": nil},
		"data":      map[string]any{"runtime": "ours", "platform": "qemu-x86", "kernel_revision": map[string]any{"tree": "next"}, "job_id": nil},
	}
	s.nodes[id], s.files[id+".json"] = n, text
	s.events = append(s.events, map[string]any{"id": id, "timestamp": fmt.Sprintf("2026-11-30T10:00:%02d.000000", len(s.events)/2)})
	return n
}

// build adds the builds that the jobs descend from.
func (s *standIn) build() {
	s.nodes["build"] = map[string]any{"id": "build", "kind": "kbuild", "artifacts": map[string]any{"_config": s.URL + "/files/.config"}}
}

const plain = `{"artifacts": {"kernel": "https://files.example/bzImage", "modules": "https://files.example/modules.tar.xz"},
	"tests": [{"id": "a", "type": "boot", "depends": [], "timeout_s": 600}, {"id": "b", "timeout_s": 60}],
	"environment": {"platform": "qemu-x86", "arch": "x86_64", "console": {"method": "serial", "baud": 115200}}}`

// serve runs a lab once.
func (s *standIn) serve(out string, observe func(context.Context, Job) (Result, error), more ...func(*Options)) error {
	opt := Options{
		API: s.URL + "/latest/", Token: token, Runtime: "ours", Out: out, Once: true, Interval: time.Millisecond,
		Log: s.t.Logf, Observe: observe,
	}
	for _, m := range more {
		m(&opt)
	}
	return Serve(s.t.Context(), opt)
}

// ended returns the state, the result and the error code of a node.
func (s *standIn) ended(id string) string {
	n := s.nodes[id]
	data, _ := n["data"].(map[string]any)
	return fmt.Sprint(n["state"], " ", n["result"], " ", data["error_code"])
}

func TestServe(t *testing.T) {
	s := newStandIn(t)
	s.build()
	sum := strings.Repeat("ab", 32)
	s.job("a", plain)
	s.job("b", `{"artifacts": {"kernel": "https://files.example/bzImage"}, "integrity": {"sha256": {"kernel": "`+sum+`", "_comment": "x"}}}`)
	s.job("other-runtime", plain)["data"].(map[string]any)["runtime"] = "theirs"
	s.job("other-platform", plain)["data"].(map[string]any)["platform"] = "board"
	delete(s.job("no-definition", plain)["artifacts"].(map[string]any), "job_definition")
	s.job("claimed", plain)["data"].(map[string]any)["job_id"] = "other:1"
	s.job("gone", plain)["state"] = "closing"
	s.events = append(s.events, s.events[0], s.events[1]) // repeated
	s.job("c", plain)
	var got []Job
	out := t.TempDir()
	observe := func(_ context.Context, j Job) (Result, error) {
		got = append(got, j)
		return map[string]Result{"a": Pass, "b": Fail, "c": Skip}[j.Node], nil
	}
	only := func(o *Options) { o.Platforms = []string{"x", "qemu-x86"} }
	for range 2 { // the second time nothing is left
		if err := s.serve(out, observe, only); err != nil {
			t.Fatal(err)
		}
	}
	config := "config=" + s.URL + "/files/.config"
	full := "url:https://files.example/bzImage?modules=https://files.example/modules.tar.xz&" + config
	want := []Job{
		{Node: "a", Spec: full, Build: "build", Dir: filepath.Join(out, "a"), Timeout: 660 * time.Second},
		{Node: "b", Spec: "url:https://files.example/bzImage#sha256=" + sum + "?" + config, Build: "build", Dir: filepath.Join(out, "b")},
		{Node: "c", Spec: full, Build: "build", Dir: filepath.Join(out, "c"), Timeout: 660 * time.Second},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("jobs mismatch (-want +got):\n%s", diff)
	}
	for id, want := range map[string]string{
		"a": "done pass <nil>", "b": "done fail <nil>", "c": "done skip <nil>", "gone": "closing <nil> <nil>",
		"claimed": "available <nil> <nil>", "other-runtime": "available <nil> <nil>", "other-platform": "available <nil> <nil>",
	} {
		if got := s.ended(id); got != want {
			t.Errorf("node %s: got %q, want %q", id, got, want)
		}
	}
	// What a lab does not interpret is kept.
	n := s.nodes["a"]
	if n["group"] != "g" || n["data"].(map[string]any)["kernel_revision"].(map[string]any)["tree"] != "next" || n["artifacts"].(map[string]any)["job_definition"] == nil {
		t.Errorf("the node lost fields: %v", n)
	}
	if mark := n["data"].(map[string]any)["job_id"].(string); !strings.HasPrefix(mark, "ours:") || len(mark) < 20 {
		t.Errorf("the claim is %q", mark)
	}
}

// A job that cannot be run is finished with the reason, and the next one is run.
func TestJobsThatCannotBeRun(t *testing.T) {
	for name, c := range map[string]struct{ definition, want string }{
		"another architecture": {`{"artifacts": {"kernel": "https://x/Image"}, "environment": {"arch": "arm64"}}`, "done incomplete invalid_job_params"},
		"no kernel":            {`{"artifacts": {"modules": "https://x/m.tar"}}`, "done incomplete invalid_job_params"},
		"a local file":         {`{"artifacts": {"kernel": "file:///etc/passwd"}}`, "done incomplete invalid_job_params"},
		"a password":           {`{"artifacts": {"kernel": "https://me:pw@x/bzImage"}}`, "done incomplete invalid_job_params"},
		"a wrong digest":       {`{"artifacts": {"kernel": "https://x/bzImage"}, "integrity": {"sha256": {"kernel": "abc"}}}`, "done incomplete invalid_job_params"},
		"no JSON":              {`<html>`, "done incomplete Infrastructure"},
		"no object":            {`[1]`, "done incomplete Infrastructure"},
		"too large":            {`{"x": "` + strings.Repeat("x", mostDefinition) + `"}`, "done incomplete Infrastructure"},
		"missing":              {"", "done incomplete Infrastructure"},
		"a bad kernel":         {plain, "done incomplete invalid_job_params"},
		"a broken host":        {plain, "done incomplete Infrastructure"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStandIn(t)
			s.job("first", c.definition)["parent"] = nil
			if c.definition == "" {
				delete(s.files, "first.json")
			}
			s.job("second", plain)
			s.build()
			err := s.serve(t.TempDir(), func(_ context.Context, j Job) (Result, error) {
				switch {
				case j.Node == "second":
					return Pass, nil
				case name == "a bad kernel":
					return "", errkind.Requestf("not a kernel; give another")
				case name == "a broken host":
					return "", errors.New("no space left")
				}
				t.Errorf("ran %+v", j)
				return Pass, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := s.ended("first"); got != c.want || s.nodes["first"]["data"].(map[string]any)["error_msg"] == "" {
				t.Errorf("got %q, want %q: %v", got, c.want, s.nodes["first"]["data"])
			}
			if got := s.ended("second"); got != "done pass <nil>" {
				t.Errorf("the next job: got %q", got)
			}
		})
	}
}

// Two labs that claim a job at the same time: the one whose mark is not there leaves it.
func TestClaimedAtTheSameTime(t *testing.T) {
	s := newStandIn(t)
	s.job("a", plain)
	s.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && r.URL.Path == "/latest/node/a" && s.puts == 1 {
			s.nodes["a"]["data"].(map[string]any)["job_id"] = "other:2"
		}
		return false
	}
	if err := s.serve(t.TempDir(), func(context.Context, Job) (Result, error) { t.Error("ran it"); return Pass, nil }); err != nil {
		t.Fatal(err)
	}
	if s.puts != 1 || s.ended("a") != "available <nil> <nil>" {
		t.Errorf("%d writes; %s", s.puts, s.ended("a"))
	}
}

// A lab that is stopped continues its job, and reports a result that it could not report.
func TestRestart(t *testing.T) {
	s := newStandIn(t)
	s.build()
	s.job("a", plain)
	s.job("b", plain)
	out := t.TempDir()
	stopped, cancel := context.WithCancelCause(t.Context())
	why := errors.New("stopped")
	err := Serve(stopped, Options{
		API: s.URL + "/latest", Token: token, Runtime: "ours", Out: out, Log: t.Logf, Interval: time.Millisecond,
		Observe: func(context.Context, Job) (Result, error) { cancel(why); return "", why },
	})
	if !errors.Is(err, why) || s.ended("a") != "available <nil> <nil>" {
		t.Fatalf("got %v, %s", err, s.ended("a"))
	}
	var ran []string
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && len(ran) > 0 && s.nodes["a"]["state"] == "available" { // the result of a
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return true
		}
		return false
	}
	observe := func(_ context.Context, j Job) (Result, error) {
		ran = append(ran, fmt.Sprint(j.Node, " ", j.Resume))
		return Fail, nil
	}
	if err := s.serve(out, observe); err == nil || !strings.Contains(err.Error(), "503") {
		t.Fatalf("got %v", err)
	}
	s.before = nil
	if err := s.serve(out, observe); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a true", "b false"}; !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
	if s.ended("a") != "done fail <nil>" || s.ended("b") != "done fail <nil>" {
		t.Errorf("a: %s; b: %s", s.ended("a"), s.ended("b"))
	}

	// A job that is done, or has another's mark, is dropped.
	for _, change := range []func(n map[string]any){
		func(n map[string]any) { n["state"] = "done" },
		func(n map[string]any) { n["data"].(map[string]any)["job_id"] = "other:3" },
	} {
		s.job("d", plain)
		writeState(t, out, state{From: beginning, Taken: []string{"a", "b", "d"}, Work: &work{Node: "d", Claim: "ours:1"}})
		s.nodes["d"]["data"].(map[string]any)["job_id"] = "ours:1"
		change(s.nodes["d"])
		before := s.puts
		if err := s.serve(out, func(context.Context, Job) (Result, error) { t.Error("ran it"); return Pass, nil }); err != nil || s.puts != before {
			t.Errorf("got %v, %d writes", err, s.puts-before)
		}
	}
	if err := os.WriteFile(filepath.Join(out, stateFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.serve(out, observe); err == nil || !strings.Contains(err.Error(), "remove ") {
		t.Errorf("a damaged state: got %v", err)
	}
}

func writeState(t *testing.T, out string, s state) {
	t.Helper()
	data, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(filepath.Join(out, stateFile), data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Failures of the API are tried again; a token that it refuses ends the lab.
func TestErrors(t *testing.T) {
	s := newStandIn(t)
	s.build()
	s.job("a", plain)
	failures := 0
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if failures++; failures%2 == 1 && failures < 12 {
			http.Error(w, "busy", []int{500, 502, 429}[failures%3])
			return true
		}
		return false
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	done := errors.New("done")
	err := Serve(ctx, Options{
		API: s.URL + "/latest", Token: token, Runtime: "ours", Out: t.TempDir(), Interval: time.Millisecond,
		Log: func(f string, args ...any) {
			text := fmt.Sprintf(f, args...)
			t.Log(text)
			if strings.HasPrefix(text, "job a: ") && !strings.HasPrefix(text, "job a: url:") {
				cancel(done)
			}
		},
		Observe: func(context.Context, Job) (Result, error) { return Pass, nil },
	})
	if !errors.Is(err, done) || s.nodes["a"]["state"] != "done" {
		t.Errorf("got %v, %s", err, s.ended("a"))
	}

	s.before = nil
	s.job("b", plain)
	wrong := func(o *Options) { o.Token = "wrong" }
	err = s.serve(t.TempDir(), nil, wrong, func(o *Options) { o.Once = false })
	if errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "401 Unauthorized (Could not validate credentials); check --token-file") {
		t.Errorf("a wrong token: got %v", err)
	}
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the error has the token: %v", err)
	}
	// A node that the lab may not write costs only its job.
	s.job("c", plain)
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/b") {
			http.Error(w, `{"detail":"no"}`, http.StatusUnprocessableEntity)
			return true
		}
		return false
	}
	if err := s.serve(t.TempDir(), func(context.Context, Job) (Result, error) { return Pass, nil }); err != nil || s.ended("c") != "done pass <nil>" {
		t.Errorf("got %v, %s", err, s.ended("c"))
	}
}

// A job whose tests may take a second does not take longer.
func TestTimeout(t *testing.T) {
	s := newStandIn(t)
	s.build()
	s.job("a", `{"artifacts": {"kernel": "https://x/bzImage"}, "tests": [{"timeout_s": 1}, {"timeout_s": -7}]}`)
	err := s.serve(t.TempDir(), func(ctx context.Context, _ Job) (Result, error) { <-ctx.Done(); return "", ctx.Err() })
	message := s.nodes["a"]["data"].(map[string]any)["error_msg"]
	if err != nil || s.ended("a") != "done incomplete Infrastructure" || message != "the job took longer than its tests may, 1s" {
		t.Errorf("got %v, %s, %v", err, s.ended("a"), message)
	}
}

// Events and nodes of any form cost nothing but themselves.
func TestForeignEvents(t *testing.T) {
	s := newStandIn(t)
	s.build()
	s.job("a", plain)
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/latest/events" {
			fmt.Fprintf(w, `[{}, {"node": null}, {"node": {"id": 7}}, {"timestamp": "x", "node": {"id": "e", "data": [], "artifacts": 1}},
				{"node": {"id": "../a", "artifacts": {"job_definition": "x"}, "data": {"runtime": "ours"}}},
				{"timestamp": "y", "node": {"id": "a", "artifacts": {"job_definition": "x", "n": null}, "data": {"runtime": "ours"}}}]`)
			return true
		}
		return false
	}
	if err := s.serve(t.TempDir(), func(context.Context, Job) (Result, error) { return Pass, nil }); err != nil || s.ended("a") != "done pass <nil>" {
		t.Errorf("got %v, %s", err, s.ended("a"))
	}
}
