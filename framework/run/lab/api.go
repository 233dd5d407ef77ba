package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/faultline/faultline/internal/errkind"
)

// Bounds of what a server sends.
const (
	mostEvents     = 1000
	mostAnswer     = 64 << 20 // bytes
	mostDefinition = 1 << 20  // bytes
	mostHops       = 8        // from a job to its kernel's build
)

// States of a node, and names of artifacts (kernelci-core, kernelci/api/models.py).
const (
	stateAvailable     = "available"
	stateDone          = "done"
	kindBuild          = "kbuild"
	definitionArtifact = "job_definition"
)

// event is an event of the API, with the node that it is about.
type event struct {
	Timestamp string `json:"timestamp"`
	Node      node   `json:"node"`
}

// node is a node of the API. It is written back as a whole, with the fields that the lab does
// not interpret.
type node struct {
	ID        string            `json:"id"`
	Kind      string            `json:"kind"`
	State     string            `json:"state"`
	Parent    string            `json:"parent"`
	Artifacts map[string]string `json:"artifacts"`
	Data      struct {
		Runtime  string `json:"runtime"`
		Platform string `json:"platform"`
		JobID    string `json:"job_id"`
	} `json:"data"`
	whole map[string]any
}

// UnmarshalJSON implements json.Unmarshaler. Fields of another type than expected are taken as
// absent: nodes of other kinds are not the lab's.
func (n *node) UnmarshalJSON(b []byte) error {
	type plain node
	if err := json.Unmarshal(b, &n.whole); err != nil {
		return err
	}
	_ = json.Unmarshal(b, (*plain)(n))
	return nil
}

// set sets a field of the node, or of an object in it.
func (n *node) set(object, field string, value any) {
	at := n.whole
	if object != "" {
		inner, ok := at[object].(map[string]any)
		if !ok {
			inner = map[string]any{}
			at[object] = inner
		}
		at = inner
	}
	at[field] = value
}

// readOnly are the fields that the API does not accept in a node that is written.
var readOnly = []string{
	"id", "_id", "created", "updated", "user", "user_groups", "owner", "submitter", "treeid",
	"processed_by_kcidb_bridge", "retry_counter", "timeout",
}

// refusedError is an answer that a repetition does not change.
type refusedError struct {
	url    string
	status int
	detail string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("%s: the server answers %d %s%s", e.url, e.status, http.StatusText(e.status), e.detail)
}

// token reports whether the token is the reason.
func (e *refusedError) token() bool {
	return e.status == http.StatusUnauthorized || e.status == http.StatusForbidden
}

// events returns the events about available jobs since a time, the oldest first.
func (l *lab) events(ctx context.Context, from string) (all []event, err error) {
	query := url.Values{
		"state": {stateAvailable}, "kind": {"job"}, "recursive": {"true"},
		"limit": {strconv.Itoa(mostEvents)}, "from": {from},
	}
	err = l.call(ctx, http.MethodGet, "/events?"+query.Encode(), nil, &all)
	return all, err
}

func (l *lab) node(ctx context.Context, id string) (*node, error) {
	n := &node{}
	err := l.call(ctx, http.MethodGet, "/node/"+url.PathEscape(id), nil, n)
	n.ID = id
	return n, err
}

// put writes a node back.
func (l *lab) put(ctx context.Context, n *node) error {
	for _, field := range readOnly {
		delete(n.whole, field)
	}
	b, err := json.Marshal(n.whole)
	if err != nil {
		return err
	}
	return l.call(ctx, http.MethodPut, "/node/"+url.PathEscape(n.ID), b, nil)
}

// build returns the node of the build of a job's kernel, nil if it has none.
func (l *lab) build(ctx context.Context, n *node) (*node, error) {
	for range mostHops {
		if n.Parent == "" {
			return nil, nil
		}
		var err error
		if n, err = l.node(ctx, n.Parent); err != nil {
			return nil, err
		}
		if n.Kind == kindBuild {
			return n, nil
		}
	}
	return nil, nil
}

// call calls the API, and decodes its answer into to unless that is nil.
func (l *lab) call(ctx context.Context, method, path string, body []byte, to any) error {
	return l.fetch(ctx, method, strings.TrimRight(l.API, "/")+path, l.Token, body, mostAnswer, to)
}

// definition fetches a job definition, which is not on the API's server: without the token.
func (l *lab) definition(ctx context.Context, at string) (*definition, error) {
	d := &definition{}
	err := l.fetch(ctx, http.MethodGet, at, "", nil, mostDefinition, d)
	return d, err
}

// fetch sends a request. Answers that a repetition does not change are a *refusedError; a
// refused token is an error of the request.
func (l *lab) fetch(ctx context.Context, method, at, token string, body []byte, most int64, to any) error {
	request, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := l.client.Do(request)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err // without the query
		}
		request.URL.RawQuery = ""
		return fmt.Errorf("%s %s: %w; check --api and the network", method, request.URL, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	switch code := response.StatusCode; {
	case err != nil:
		return fmt.Errorf("%s %s: %w", method, at, err)
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return fmt.Errorf("%s %s: the server answers %s", method, at, response.Status)
	case code >= 300:
		refused := &refusedError{at, code, detail(data)}
		if token != "" && refused.token() {
			return errkind.Requestf("%v; check --token-file, and that its user may edit nodes of runtime %s", refused, l.Runtime)
		}
		return refused
	case int64(len(data)) > most:
		return fmt.Errorf("%s %s: the answer has more than %d bytes", method, at, most)
	case to == nil:
		return nil
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s %s: the answer is not the expected JSON: %w", method, at, err)
	}
	return nil
}

// detail returns the reason in an answer of the API (FastAPI), or "".
func detail(data []byte) string {
	var answer struct {
		Detail any `json:"detail"`
	}
	if json.Unmarshal(data, &answer) != nil || answer.Detail == nil {
		return ""
	}
	text := fmt.Sprint(answer.Detail)
	return " (" + strings.ToValidUTF8(text[:min(len(text), 200)], "") + ")"
}
