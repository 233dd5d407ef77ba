package download

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
)

func quick(t *testing.T) {
	t.Helper()
	oldStall, oldPause, oldProgress := stall, pause, progress
	stall, pause, progress = 200*time.Millisecond, time.Millisecond, 0
	t.Cleanup(func() { stall, pause, progress = oldStall, oldPause, oldProgress })
}

func options(t *testing.T) kernels.Options {
	t.Helper()
	c, err := cache.Open(filepath.Join(t.TempDir(), "cache"))
	if err != nil {
		t.Fatal(err)
	}
	return kernels.Options{Cache: c, Log: t.Logf}
}

// get downloads a file and returns its content.
func get(t *testing.T, url string, opts kernels.Options) (string, error) {
	t.Helper()
	f, err := Get(t.Context(), url, opts)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(data)); f.Sum != want {
		t.Errorf("got digest %s, want %s", f.Sum, want)
	}
	return string(data), nil
}

var text = strings.Repeat("0123456789abcdef", 100_000)

// A server that sends a part of the file at a time, and then breaks off.
func TestResume(t *testing.T) {
	quick(t)
	for name, c := range map[string]struct {
		tag        string // its ETag
		noRanges   bool
		change     bool // the file changes after the first request
		wrongRange bool
		requests   int32 // at most
		fails      bool
	}{
		"with ranges":            {tag: `"1"`, requests: 5},
		"a weak validator":       {tag: `W/"1"`, requests: 2 * mostTries, fails: true},
		"without ranges":         {tag: `"1"`, noRanges: true, requests: 2 * mostTries, fails: true},
		"the file changed":       {tag: `"1"`, change: true, requests: 6},
		"a range not asked for":  {tag: `"1"`, wrongRange: true, requests: 2 * mostTries, fails: true},
		"neither tag nor ranges": {requests: 2 * mostTries, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			var want atomic.Value
			want.Store(text)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := requests.Add(1)
				tag := c.tag
				if c.change && n > 1 {
					tag = `"2"`
					want.Store(strings.ToUpper(text))
				}
				if tag != "" {
					w.Header().Set("ETag", tag)
				}
				if c.noRanges {
					r.Header.Del("Range")
				}
				if c.wrongRange && n > 1 {
					w.Header().Set("Content-Range", "bytes 7-9/100")
					w.WriteHeader(http.StatusPartialContent)
					return
				}
				http.ServeContent(&breaking{ResponseWriter: w, left: len(text) / 3}, r, "", time.Time{}, strings.NewReader(want.Load().(string)))
			}))
			defer server.Close()
			got, err := get(t, server.URL+"/bzImage", options(t))
			if (err != nil) != c.fails {
				t.Errorf("got error %v, want one %t", err, c.fails)
			}
			if err == nil && got != want.Load() {
				t.Errorf("got %d bytes, want those of the server", len(got))
			}
			if n := requests.Load(); n > c.requests {
				t.Errorf("got %d requests, want at most %d", n, c.requests)
			}
		})
	}
}

// breaking breaks the connection after some bytes.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	n, err := b.ResponseWriter.Write(p[:min(len(p), b.left)])
	if b.left -= n; b.left == 0 {
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func (b *breaking) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{b}, r)
}

// Without a change, nothing is downloaded again; with a digest, nobody is asked.
func TestCached(t *testing.T) {
	quick(t)
	var bodies, requests atomic.Int32
	content, tag := "first", `"1"`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if tag != "" {
			w.Header().Set("ETag", tag)
		}
		if n, err := io.WriteString(w, content); n > 0 && err == nil {
			bodies.Add(1)
		}
	}))
	defer server.Close()
	opts := options(t)
	want := func(url, content string, asked int32) {
		t.Helper()
		before := requests.Load()
		got, err := get(t, url, opts)
		if err != nil || got != content {
			t.Errorf("got %q, %v; want %q", got, err, content)
		}
		if n := requests.Load() - before; n != asked {
			t.Errorf("got %d requests, want %d", n, asked)
		}
	}
	url := server.URL + "/a/config"
	want(url, "first", 1)
	want(url, "first", 1)
	content, tag = "second", `"2"`
	want(url, "second", 1)
	content, tag = "third", "" // nothing that identifies it, so that it is not kept
	before, _ := filepath.Glob(filepath.Join(opts.Cache.Dir(), entryKind, "*"))
	want(url, "third", 1)
	content = "fourth"
	want(url, "fourth", 1)
	after, err := filepath.Glob(filepath.Join(opts.Cache.Dir(), entryKind, "*"))
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("got the entries %v, error %v; want %v", after, err, before)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("fourth")))
	want(url+"#sha256="+sum, "fourth", 1)
	want(url+"#sha256="+strings.ToUpper(sum), "fourth", 0)
	server.Close()
	want(url+"#sha256="+sum, "fourth", 0)
	if _, err := get(t, url, opts); err == nil || !strings.HasPrefix(err.Error(), "download "+url+": ") {
		t.Errorf("without the server: got %v, want an error of the download", err)
	}
}

// What is wrong with the request is a *kernels.SpecError; another failure is not. Nothing is
// left in the cache.
func TestHostileServers(t *testing.T) {
	quick(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/stalls", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write([]byte("half"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/silent", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/busy", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "file:///etc/passwd")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/huge", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "70000000000")
		w.Write([]byte("x"))
	})
	mux.HandleFunc("/other", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("other")) })
	mux.HandleFunc("/secret", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) })
	server := httptest.NewServer(mux)
	defer server.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(server.URL+"/other", http.StatusFound))
	defer secure.Close()
	transport := client.Transport
	client.Transport = secure.Client().Transport
	defer func() { client.Transport = transport }()

	sum := fmt.Sprintf("%x", sha256.Sum256(nil))
	for _, c := range []struct {
		url     string
		request bool
		want    string
	}{
		{server.URL + "/stalls", false, "nothing came for 200ms"},
		{server.URL + "/silent", false, "nothing came for 200ms"},
		{server.URL + "/busy", false, "the server cannot answer now: 503 Service Unavailable"},
		{server.URL + "/nothing", true, "/nothing: the server answers 404 Not Found; check the URL"},
		{server.URL + "/secret", true, "the server answers 403 Forbidden"},
		{server.URL + "/file", true, "/file redirects to file:///etc/passwd; check the URL"},
		{server.URL + "/loop", false, "more than 10 redirects"},
		{server.URL + "/huge", true, "has more than 4.0 GiB; give the URL of a kernel"},
		{server.URL + "/other#sha256=" + sum, true, "/other has the digest sha256="},
		{secure.URL, true, ", which is not encrypted; give the URL of the file itself"},
		{"http://127.0.0.1:1/x", false, "download http://127.0.0.1:1/x: dial tcp 127.0.0.1:1: connect: connection refused"},
		{"http://user:word@host/x", true, "the URL has a user name or password"},
		{"http:///x", true, "http:///x is not a URL for a download; write https://HOST/PATH"},
		{"ftp://host/x", true, "is not a URL for a download"},
		{"http://h/%zz", true, `cannot parse the URL: invalid URL escape "%zz"`},
		{"http://h/x#sha256=12", true, "is not a digest; write URL#sha256=64 HEX DIGITS"},
		{"http://h/x#top", true, "is not a digest"},
	} {
		opts := options(t)
		_, err := get(t, c.url, opts)
		var request *kernels.SpecError
		if err == nil || errors.As(err, &request) != c.request || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %T %v, want %q (a request: %t)", c.url, err, err, c.want, c.request)
		}
		if left, _ := filepath.Glob(filepath.Join(opts.Cache.Dir(), entryKind, "*")); len(left) > 0 {
			t.Errorf("%s: got %v left, want none", c.url, left)
		}
	}
}

// A download ends when its context does, with the cause.
func TestCanceled(t *testing.T) {
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(bytes.Repeat([]byte("x"), 1<<20))
		w.(http.Flusher).Flush()
		cancel(stopped)
		<-r.Context().Done()
	}))
	defer server.Close()
	if _, err := Get(ctx, server.URL, options(t)); !errors.Is(err, stopped) {
		t.Errorf("got %v, want %v", err, stopped)
	}
}
