package vm

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
)

// configured is a kernel of that configuration.
func configured(t *testing.T, text string) *kernels.Kernel {
	t.Helper()
	c, err := kconfig.ParseBytes([]byte(text))
	must(t, err)
	return &kernels.Kernel{Name: "K", Config: c}
}

func TestLacks(t *testing.T) {
	enough, seen := "", map[string]bool{}
	for i, n := range Needs() {
		if n.For == "" || seen[n.Symbol] || strings.HasPrefix(n.Symbol, "CONFIG_") {
			t.Errorf("%+v", n)
		}
		seen[n.Symbol] = true
		enough += "CONFIG_" + n.Symbol + []string{"=y\n", "=m\n"}[i%2]
	}
	k := configured(t, enough)
	if lacks, err := Lacks(k), lacksNeeds(k); lacks != nil || err != nil {
		t.Errorf("%v, %v", lacks, err)
	}
	k = configured(t, strings.NewReplacer("CONFIG_VIRTIO_NET=", "# CONFIG_VIRTIO_NET is not set\nCONFIG_X=", "CONFIG_EPOLL=", "CONFIG_Y=").Replace(enough))
	if lacks := Lacks(k); !slices.Equal(lacks, []string{"EPOLL", "VIRTIO_NET"}) {
		t.Errorf("%v", lacks)
	}
	var trouble *GuestError
	err := lacksNeeds(k)
	if !errors.As(err, &trouble) || trouble.Kind != Refused || err.Error() != "boot: K: no guest runs without CONFIG_EPOLL, CONFIG_VIRTIO_NET; build the kernel with them" {
		t.Error(err)
	}
}
