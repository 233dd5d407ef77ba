package download

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/faultline/faultline/kernels"
)

var (
	// errRetry is an answer of the server's that may be another one later.
	errRetry = errors.New("the server cannot answer now")
	// errChanged means that the server has another file now than when the download began.
	errChanged = errors.New("the file changed during the download")
	// errShort means that bytes are missing.
	errShort = errors.New("the server sent only a part of the file")
)

// ask requests the file from an offset on. The response is in d.response.
func (d *download) ask(ctx context.Context, from int64) error {
	d.close()
	var inner context.Context
	inner, d.stop = context.WithCancelCause(ctx)
	watch := time.AfterFunc(stall, func() { d.stop(errStalled()) })
	defer watch.Stop()
	request, err := http.NewRequestWithContext(inner, http.MethodGet, d.url.String(), nil)
	if err != nil {
		return err
	}
	if from > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		request.Header.Set("If-Range", d.strong)
	}
	response, err := client.Do(request) //nolint:bodyclose // close does it
	if err != nil {
		defer d.stop(nil)
		if stalled := context.Cause(inner); inner.Err() != nil && ctx.Err() == nil {
			return stalled
		}
		return err
	}
	d.response = response
	switch code := response.StatusCode; {
	case code == http.StatusOK, from > 0 && code == http.StatusPartialContent:
		d.strong = strong(response.Header)
		return nil
	case from > 0 && code == http.StatusRequestedRangeNotSatisfiable:
		d.close()
		d.strong = "" // start again
		return fmt.Errorf("%w: %s", errRetry, response.Status)
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		d.close()
		return fmt.Errorf("%w: %s", errRetry, response.Status)
	default:
		d.close()
		return &kernels.SpecError{
			Problem: fmt.Sprintf("%s: the server answers %s", d.url, response.Status),
			Hint:    "check the URL",
		}
	}
}

func errStalled() error { return fmt.Errorf("nothing came for %v", stall) }

// client asks for files as they are: a body that the server compresses could not be
// resumed. It does not go from https to http.
var client = &http.Client{
	Transport: func() http.RoundTripper {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableCompression = true
		return t
	}(),
	CheckRedirect: func(to *http.Request, via []*http.Request) error {
		switch {
		case len(via) >= mostRedirects:
			return fmt.Errorf("more than %d redirects", mostRedirects)
		case to.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https":
			return &kernels.SpecError{
				Problem: fmt.Sprintf("%s redirects to %s, which is not encrypted", via[len(via)-1].URL, to.URL),
				Hint:    "give the URL of the file itself",
			}
		case to.URL.Scheme != "http" && to.URL.Scheme != "https":
			return &kernels.SpecError{Problem: fmt.Sprintf("%s redirects to %s", via[0].URL, to.URL), Hint: "check the URL"}
		}
		return nil
	},
}

// validators returns what tells one version of the server's file from another. Without any,
// no two are the same.
func (d *download) validators() []string {
	h := d.response.Header
	tag, modified := h.Get("ETag"), h.Get("Last-Modified")
	if d.once = tag == "" && modified == ""; d.once {
		return []string{strconv.FormatInt(time.Now().UnixNano(), 10)}
	}
	return []string{tag, modified, h.Get("Content-Length")}
}

// another reports whether a new response is of another version of the file.
func (d *download) another() bool {
	h := d.response.Header
	for i, name := range []string{"ETag", "Last-Modified"} {
		if len(d.version) > i && h.Get(name) != d.version[i] &&
			(h.Get(name) != "" || d.response.StatusCode == http.StatusOK) {
			return len(d.version) > 1
		}
	}
	return false
}

// strong returns what If-Range accepts, or "" (RFC 9110, section 13.1.5).
func strong(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return h.Get("Last-Modified")
}
