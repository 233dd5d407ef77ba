// Package download fetches files by HTTP into the cache. Downloads are not trusted: sizes
// are bounded, the connection to a server that sends nothing is closed, and a digest that
// the user gives is checked. It does not know what the files are.
package download

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
)

// Bounds of a download.
const (
	mostBytes     = 4 << 30
	mostRedirects = 10
	mostTries     = 5 // in a row that bring no bytes
)

// Times; tests shorten them.
var (
	stall    = time.Minute      // without a byte, after which a connection is given up
	progress = 10 * time.Second // between two messages
	pause    = time.Second      // before the second try; it doubles
)

const entryKind = "download"

// digests are the algorithms of digests, by the names that a URL's fragment has for them, as
// in pip's requirement files (#sha256=HEX).
var digests = map[string]func() hash.Hash{"sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}

// Digest reports whether a URL can have a digest of this algorithm: "sha256".
func Digest(algorithm string) bool { return digests[algorithm] != nil }

// File is a file in the cache, which is not pruned until Close.
type File struct {
	Path  string // its name is the URL's last part
	Sum   string // SHA-256, in hex
	entry *cache.Entry
	cache *cache.Cache
	once  bool // no later download is recognised as the same
}

// Close allows the file to be pruned. A file that is of no use later is removed.
func (f *File) Close() error {
	if f.once {
		return f.Discard()
	}
	return f.entry.Close()
}

// Discard closes the file and removes it from the cache: what was downloaded is damaged.
func (f *File) Discard() error {
	path := f.entry.Path
	if err := f.entry.Close(); err != nil {
		return err
	}
	return f.cache.Remove(cache.Item{Kind: entryKind, Key: filepath.Base(path), Path: path})
}

// IsURL reports whether a text begins with http:// or https://.
func IsURL(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}

// Check checks the text of a URL. The error is a *kernels.SpecError.
func Check(text string) error {
	_, _, err := parse(text)
	return err
}

// parse returns a URL without its fragment, and the digest in that ("sha256=HEX").
func parse(text string) (u *url.URL, sum string, err error) {
	wrong := func(problem, hint string) error { return &kernels.SpecError{Problem: problem, Hint: hint} }
	u, err = url.Parse(text)
	switch {
	case err != nil:
		return nil, "", wrong(fmt.Sprintf("cannot parse the URL: %v", errors.Unwrap(err)), "write https://HOST/PATH")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, "", wrong(fmt.Sprintf("%s is not a URL for a download", text), "write https://HOST/PATH")
	case u.User != nil:
		return nil, "", wrong("the URL has a user name or password, and specs are recorded in run.json",
			"download the file yourself, and give its path")
	}
	if u.Fragment == "" {
		return u, "", nil
	}
	algorithm, digits, _ := strings.Cut(u.Fragment, "=")
	raw, err := hex.DecodeString(digits)
	if err != nil || !Digest(algorithm) || len(raw) != digests[algorithm]().Size() {
		return nil, "", wrong(fmt.Sprintf("the part after # of %s is not a digest", text), "write URL#sha256=64 HEX DIGITS")
	}
	u.Fragment = ""
	return u, algorithm + "=" + strings.ToLower(digits), nil
}

// Get returns the file of a URL. With a digest (URL#sha256=HEX) a file in the cache needs
// no network. Without one, the server is asked each time whether its file is the one in the
// cache, by ETag, time and length. A download that breaks off is resumed. The file must be
// closed. The error is a *kernels.SpecError for a wrong URL or digest, a file that is too
// large, or an answer such as 404; any other is a failure of the network or this machine.
func Get(ctx context.Context, text string, opts kernels.Options) (*File, error) {
	u, sum, err := parse(text)
	if err != nil {
		return nil, err
	}
	d := &download{url: u, sum: sum, opts: opts, name: name(u)}
	defer d.close()
	var entry *cache.Entry
	for try := 1; ; try++ {
		if entry, err = d.get(ctx); err == nil {
			break
		}
		if !errors.Is(err, errChanged) || try >= mostTries {
			return nil, d.failed(ctx, err)
		}
	}
	f := &File{Path: filepath.Join(entry.Path, d.name), entry: entry, cache: opts.Cache, once: d.once}
	if f.Sum, err = cache.FileSum(f.Path); err != nil {
		return nil, errors.Join(err, entry.Close())
	}
	return f, nil
}

// get returns the entry of the file.
func (d *download) get(ctx context.Context) (*cache.Entry, error) {
	if d.sum != "" {
		return d.opts.Cache.GetChecked(ctx, entryKind, cache.Key(d.sum, d.name), d.into)
	}
	wait := pause
	for try := 1; ; try++ {
		err := d.ask(ctx, 0)
		var request *kernels.SpecError
		switch {
		case err == nil:
			// A file that has no validators is another one each time.
			d.version = d.validators()
			return d.opts.Cache.Get(ctx, entryKind, cache.Key(append([]string{d.url.String()}, d.version...)...), d.into)
		case ctx.Err() != nil, errors.As(err, &request), !errors.Is(err, errRetry), try >= mostTries:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
		wait *= 2
	}
}

// name returns a file's name for a URL.
func name(u *url.URL) string {
	n := path.Base(path.Clean("/" + u.Path))
	if n == "/" || strings.HasPrefix(n, ".") && n != ".config" || len(n) > 200 || strings.ContainsAny(n, "\x00\n") {
		return "file"
	}
	return n
}

// failed says what failed.
func (d *download) failed(ctx context.Context, err error) error {
	var request *kernels.SpecError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &request):
		return err
	}
	var wrapped *url.Error // has the method and the URL, too
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("download %s: %w; check the URL and the network, and run again", d.url, err)
}

// download is a download in progress.
type download struct {
	url  *url.URL
	sum  string
	name string
	opts kernels.Options
	// version are the validators of the file that is downloaded, if it has no digest.
	version []string
	once    bool // it has no validators

	response *http.Response // nil, or one whose body is not read yet
	stop     context.CancelCauseFunc
	strong   string // of the last file that came: what If-Range accepts, or ""
}

func (d *download) close() {
	if d.response != nil {
		d.stop(nil)
		d.response.Body.Close()
		d.response = nil
	}
}

// into downloads the file into a directory.
func (d *download) into(ctx context.Context, dir string) error {
	f, err := os.Create(filepath.Join(dir, d.name))
	if err != nil {
		return err
	}
	defer f.Close()
	d.opts.Logf("download %s", d.url)
	written, wait, again := int64(0), pause, false
	for try := 1; ; try++ {
		before := written
		err := d.part(ctx, f, &written)
		var request *kernels.SpecError
		if err == nil {
			if err = d.check(f); err == nil {
				return nil
			}
			if again || !errors.As(err, &request) {
				return err
			}
			// The connection may have damaged or cut it.
			again, written = true, 0
			d.close()
			continue
		}
		switch {
		case errors.Is(err, errChanged), ctx.Err() != nil, errors.As(err, &request), isHost(err):
			return err
		}
		if written > before {
			try, wait = 1, pause
		}
		if try >= mostTries {
			return err
		}
		d.opts.Logf("download %s: %v; trying again", d.name, err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		wait *= 2
	}
}

// isHost reports whether an error is this machine's, not the network's.
func isHost(err error) bool {
	var file *os.PathError
	return errors.As(err, &file)
}

// part reads what one connection brings.
func (d *download) part(ctx context.Context, f *os.File, written *int64) error {
	if d.response == nil || *written > 0 {
		if d.strong == "" {
			*written = 0
		}
		if err := d.ask(ctx, *written); err != nil {
			return err
		}
		if d.another() {
			d.close()
			return errChanged
		}
		if d.response.StatusCode != http.StatusPartialContent {
			*written = 0 // the server knows no ranges
		} else if r := d.response.Header.Get("Content-Range"); !strings.HasPrefix(r, fmt.Sprintf("bytes %d-", *written)) {
			*written = 0
			d.close()
			return fmt.Errorf("the server sent another range (%q)", r)
		}
	}
	if err := f.Truncate(*written); err != nil {
		return err
	}
	if _, err := f.Seek(*written, io.SeekStart); err != nil {
		return err
	}
	total := int64(-1)
	if n := d.response.ContentLength; n >= 0 {
		total = *written + n
	}
	if _, size, ok := strings.Cut(d.response.Header.Get("Content-Range"), "/"); ok {
		if n, err := strconv.ParseInt(size, 10, 64); err == nil { // a part may be shorter than what was asked for
			total = n
		}
	}
	if total > mostBytes {
		return tooLarge(d.url)
	}
	watch := time.AfterFunc(stall, func() { d.stop(errStalled()) })
	defer watch.Stop()
	said, buffer := time.Now(), make([]byte, 1<<18)
	for {
		n, err := d.response.Body.Read(buffer)
		if n > 0 {
			watch.Reset(stall)
			if _, err := f.Write(buffer[:n]); err != nil {
				return err
			}
			*written += int64(n)
		}
		switch {
		case *written > mostBytes:
			return tooLarge(d.url)
		case errors.Is(err, io.EOF) && *written < total:
			return errShort
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, context.Canceled) && ctx.Err() == nil:
			return errStalled()
		case err != nil:
			return err
		}
		if time.Since(said) >= progress {
			said = time.Now()
			of := ""
			if total >= 0 {
				of = " of " + humanize.IBytes(uint64(total))
			}
			d.opts.Logf("download %s: %s%s", d.name, humanize.IBytes(uint64(*written)), of)
		}
	}
}

func tooLarge(u *url.URL) error {
	return &kernels.SpecError{Problem: fmt.Sprintf("%s has more than %s", u, humanize.IBytes(mostBytes)),
		Hint: "give the URL of a kernel, without debug information"}
}

// check compares the digest.
func (d *download) check(f *os.File) error {
	if d.sum == "" {
		return nil
	}
	algorithm, want, _ := strings.Cut(d.sum, "=")
	h := digests[algorithm]()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != want {
		return &kernels.SpecError{Problem: fmt.Sprintf("%s has the digest %s=%s, not %s", d.url, algorithm, sum, d.sum),
			Hint: "check the digest and who changed the file"}
	}
	return nil
}
