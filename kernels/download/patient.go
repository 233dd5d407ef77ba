package download

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// Patient returns a transport that gives up a connection on which nothing comes for a minute,
// for libraries that make their own requests.
func Patient(base http.RoundTripper) http.RoundTripper { return patient{base} }

type patient struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (p patient) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, stop := context.WithCancelCause(r.Context())
	watch := time.AfterFunc(stall, func() { stop(errStalled()) })
	response, err := p.base.RoundTrip(r.WithContext(ctx))
	watch.Stop()
	if err != nil {
		defer stop(nil)
		return nil, stalled(ctx, r.Context(), err)
	}
	response.Body = &patientBody{response.Body, r.Context(), ctx, stop}
	return response, nil
}

// patientBody is a body that ends with an error if nothing comes while it is read.
type patientBody struct {
	io.ReadCloser
	outer, inner context.Context
	stop         context.CancelCauseFunc
}

func (b *patientBody) Read(p []byte) (int, error) {
	watch := time.AfterFunc(stall, func() { b.stop(errStalled()) })
	defer watch.Stop()
	n, err := b.ReadCloser.Read(p)
	return n, stalled(b.inner, b.outer, err)
}

// Close closes the body.
func (b *patientBody) Close() error {
	defer b.stop(nil)
	return b.ReadCloser.Close()
}

// stalled returns why a request ended.
func stalled(inner, outer context.Context, err error) error {
	if err != nil && !errors.Is(err, io.EOF) && inner.Err() != nil && outer.Err() == nil {
		return context.Cause(inner)
	}
	return err
}
