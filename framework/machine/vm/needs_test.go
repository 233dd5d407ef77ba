package vm

import (
	"errors"
	"strings"
	"testing"

	"github.com/faultline/faultline/guest/required"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
)

// configured returns a kernel with that configuration.
func configured(t *testing.T, text string) *kernels.Kernel {
	t.Helper()
	c, err := kconfig.ParseBytes([]byte(text))
	must(t, err)
	return &kernels.Kernel{Name: "K", Config: c}
}

func TestCheckConfig(t *testing.T) {
	enough := ""
	for i, symbol := range required.Symbols() {
		enough += "CONFIG_" + symbol + []string{"=y\n", "=m\n"}[i%2]
	}
	k := configured(t, enough)
	if err := checkConfig(k); err != nil {
		t.Error(err)
	}
	k = configured(t, strings.NewReplacer("CONFIG_VIRTIO_NET=", "# CONFIG_VIRTIO_NET is not set\nCONFIG_X=", "CONFIG_EPOLL=", "CONFIG_Y=").Replace(enough))
	var trouble *GuestError
	err := checkConfig(k)
	if !errors.As(err, &trouble) || trouble.Kind != Refused || err.Error() != "boot: K: no guest runs without CONFIG_EPOLL, CONFIG_VIRTIO_NET; build the kernel with them" {
		t.Errorf("got %v, want a *GuestError that no guest runs without CONFIG_EPOLL, CONFIG_VIRTIO_NET", err)
	}
}
