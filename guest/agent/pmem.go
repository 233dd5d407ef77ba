package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/faultline/faultline/guest/wire"
)

// providers maps the names of drivers/nvdimm's buses in sysfs to those of wire.Device.
var providers = map[string]string{
	"ACPI.NFIT":   "nfit",
	"e820":        "e820",
	"virtio-pmem": "virtio",
}

const sysBlock = "/sys/block"

// pmem executes wire.Pmem.
func pmem() ([]wire.Device, error) { return pmemIn(sysBlock) }

func pmemIn(dir string) ([]wire.Device, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list block devices: %w", err)
	}
	var devices []wire.Device
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "pmem") {
			continue
		}
		d, err := pmemDevice(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("inspect %s: %w", e.Name(), err)
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// pmemDevice inspects a block device, whose path in sysfs is
// …/ndbus0/region0/namespace0.0/block/pmem0, or with an nd_pfn info block
// …/ndbus0/region0/pfn0.1/block/pmem0.
func pmemDevice(path string) (wire.Device, error) {
	d := wire.Device{Name: filepath.Base(path)}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return d, err
	}
	sectors, err := readNumber(filepath.Join(path, "size"))
	if err != nil {
		return d, err
	}
	d.Bytes = int64(sectors) * 512

	holder := filepath.Dir(filepath.Dir(path)) // the namespace, or the pfn device over it
	region := filepath.Dir(holder)
	bus := filepath.Dir(region)
	provider, err := readWord(filepath.Join(bus, "provider"))
	if err != nil {
		return d, err
	}
	if d.Provider = providers[provider]; d.Provider == "" {
		return d, fmt.Errorf("unknown bus provider %q", provider)
	}

	namespace := holder
	if d.Fsdax = strings.HasPrefix(filepath.Base(holder), "pfn"); d.Fsdax {
		name, err := readWord(filepath.Join(holder, "namespace"))
		if err != nil {
			return d, err
		}
		namespace = filepath.Join(region, name)
	}
	if d.Resource, err = readNumber(filepath.Join(namespace, "resource")); err != nil {
		return d, err
	}
	if d.Fsdax {
		data, err := readNumber(filepath.Join(holder, "resource"))
		if err != nil {
			return d, err
		}
		d.DataOffset = int64(data - d.Resource)
	}
	return d, nil
}

func readWord(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

func readNumber(path string) (uint64, error) {
	s, err := readWord(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}
