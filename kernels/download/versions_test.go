package download

import (
	"crypto/sha512"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// Servers whose file changes, or that answer a request for the rest of it wrongly: what is
// returned is a version of the file, and never stored as another one.
func TestVersions(t *testing.T) {
	quick(t)
	first, second := text, strings.ToUpper(text)
	half := len(text) / 2
	send := func(w http.ResponseWriter, tag, body string, from, to int, code int) {
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Length", strconv.Itoa(to-from))
		if code == http.StatusPartialContent {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(body)))
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body[from:to]))
	}
	cut := func(w http.ResponseWriter, tag, body string) {
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write([]byte(body[:half]))
		panic(http.ErrAbortHandler)
	}
	for name, c := range map[string]struct {
		answer func(n int32, w http.ResponseWriter, r *http.Request)
		want   []string // of calls in a row
	}{
		"rolled back": {func(n int32, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				cut(w, `"1"`, first)
			case 2, 3:
				send(w, `"2"`, second, 0, len(second), 200)
			default:
				send(w, `"1"`, first, 0, len(first), 200)
			}
		}, []string{second, first, first}},
		"another version's rest": {func(n int32, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				cut(w, `"1"`, first)
			case 2:
				send(w, `"2"`, second, half, len(second), 206)
			default:
				send(w, `"2"`, second, 0, len(second), 200)
			}
		}, []string{second, second}},
		"a part of the rest": {func(n int32, w http.ResponseWriter, r *http.Request) {
			from := 0
			_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
			switch {
			case n == 1:
				cut(w, `"1"`, first)
			case from > 0:
				send(w, `"1"`, first, from, min(from+300_000, len(first)), 206)
			default:
				send(w, `"1"`, first, 0, len(first), 200)
			}
		}, []string{first, first}},
		"not satisfiable": {func(n int32, w http.ResponseWriter, r *http.Request) {
			switch {
			case n == 1:
				cut(w, `"1"`, first)
			case r.Header.Get("Range") != "":
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			default:
				send(w, `"1"`, first, 0, len(first), 200)
			}
		}, []string{first}},
		"busy at first": {func(n int32, w http.ResponseWriter, r *http.Request) {
			if n < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			send(w, `"1"`, first, 0, len(first), 200)
		}, []string{first}},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.answer(n.Add(1), w, r) }))
			defer server.Close()
			opts := options(t)
			for i, want := range c.want {
				if got, err := get(t, server.URL+"/f", opts); err != nil || got != want {
					t.Errorf("call %d: got %d bytes that begin with %.4q, %v, want %.4q", i+1, len(got), got, err, want)
				}
			}
		})
	}
}

// Other digests than SHA-256 are checked; a file that is damaged on its way is downloaded
// once more; a discarded file is downloaded again.
func TestDigests(t *testing.T) {
	quick(t)
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := text
		if n.Add(1) == 1 {
			body = text[1:]
		}
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	opts := options(t)
	url := fmt.Sprintf("%s/f#sha512=%x", server.URL, sha512.Sum512([]byte(text)))
	if got, err := get(t, url, opts); err != nil || got != text || n.Load() != 2 {
		t.Errorf("got %d bytes, error %v, after %d requests; want %d bytes after 2 requests", len(got), err, n.Load(), len(text))
	}
	f, err := Get(t.Context(), url, opts)
	if err != nil || n.Load() != 2 {
		t.Fatalf("got error %v after %d requests, want none after 2 requests", err, n.Load())
	}
	if err := f.Discard(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(opts.Cache.Dir(), entryKind, "*")); len(left) > 0 {
		t.Errorf("got %v left, want none", left)
	}
	if got, err := get(t, url, opts); err != nil || got != text || n.Load() != 3 {
		t.Errorf("got %d bytes, error %v, after %d requests; want %d bytes after 3 requests", len(got), err, n.Load(), len(text))
	}
	if _, err := get(t, server.URL+"/f#sha1=00", opts); err == nil {
		t.Error("sha1 was accepted")
	}
}
