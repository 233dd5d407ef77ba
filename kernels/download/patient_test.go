package download

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A request ends if nothing comes, and not if it is only read slowly.
func TestPatient(t *testing.T) {
	quick(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/silent" {
			<-r.Context().Done()
		}
		_, _ = w.Write([]byte("half"))
		if r.URL.Path == "/stalls" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	patient := &http.Client{Transport: Patient(http.DefaultTransport)}
	read := func(ctx context.Context, path string) (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := patient.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		return string(data), err
	}
	for path, want := range map[string]string{"/silent": "", "/stalls": "half"} {
		if got, err := read(t.Context(), path); got != want || err == nil || !strings.Contains(err.Error(), "nothing came for 200ms") {
			t.Errorf("%s: got %q, error %v; want %q, nothing came for 200ms", path, got, err, want)
		}
	}
	if got, err := read(t.Context(), "/"); err != nil || got != "half" {
		t.Errorf("got %q, error %v; want half", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := read(ctx, "/"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
