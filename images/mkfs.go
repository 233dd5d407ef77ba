package images

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/execx"
)

// epoch is the creation time recorded in every image: late enough for checks against
// an unset clock, earlier than any guest's clock.
const epoch = 1_000_000_000

// mkfs formats a file with a file system.
type mkfs struct {
	// version is part of the key: another mkfs may write different bytes.
	version string
	// format makes a file system in the file name, which has size bytes.
	format func(ctx context.Context, name string, size int64, uuid [16]byte) error
}

// findMkfs returns the mkfs for spec.FS, or an *execx.MissingError.
func findMkfs(ctx context.Context, spec PmemSpec) (mkfs, error) {
	if spec.FS == XFS {
		return findMkfsXFS(ctx, spec)
	}
	return findMkfsExt4(ctx, spec)
}

// ext4Config replaces /etc/mke2fs.conf, so that neither the distribution nor an
// administrator changes the features. They are those of e2fsprogs 1.43 and later
// that every kernel since 4.x mounts.
const ext4Config = `[defaults]
	base_features = has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum
	default_mntopts = acl,user_xattr
	enable_periodic_fsck = 0
	blocksize = 4096
	inode_size = 256
	inode_ratio = 65536
[fs_types]
	ext4 = {
	}
	floppy = {
	}
	small = {
	}
	big = {
	}
`

func findMkfsExt4(ctx context.Context, spec PmemSpec) (mkfs, error) {
	tool, err := execx.Find("mkfs.ext4", "e2fsprogs")
	if err != nil {
		return mkfs{}, err
	}
	version, err := runTool(ctx, nil, tool, "-V")
	if err != nil {
		return mkfs{}, err
	}
	format := func(ctx context.Context, name string, size int64, uuid [16]byte) error {
		if err := emptyFile(name, size); err != nil {
			return err
		}
		conf := name + ".conf"
		if err := os.WriteFile(conf, []byte(ext4Config), 0o644); err != nil {
			return err
		}
		defer os.Remove(conf)
		id := uuidString(uuid)
		// E2FSPROGS_FAKE_TIME: e2fsprogs' own tests use it for reproducible images.
		env := []string{"MKE2FS_CONFIG=" + conf, fmt.Sprintf("E2FSPROGS_FAKE_TIME=%d", epoch)}
		_, err := runTool(ctx, env, tool, "-q", "-F", "-b", "4096", "-m", "0", "-U", id, "-L", spec.Label, "-J", "size=4",
			// stride and stripe_width, in blocks: the allocator aligns
			// multiples of 2 MiB (ext4_mb_scan_aligned), so that DAX can map PMDs.
			"-E", "hash_seed="+id+",root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard,stride=512,stripe_width=512",
			name)
		return err
	}
	return mkfs{version: version, format: format}, nil
}

func findMkfsXFS(ctx context.Context, spec PmemSpec) (mkfs, error) {
	tool, err := execx.Find("mkfs.xfs", "xfsprogs")
	if err != nil {
		return mkfs{}, err
	}
	version, err := runTool(ctx, nil, tool, "-V")
	if err != nil {
		return mkfs{}, err
	}
	// mkfs.xfs fails on unknown options; its usage text lists the known ones. There
	// is no option for that text: -? is unknown, too.
	usage, _ := runTool(ctx, nil, tool, "-?")
	format := func(ctx context.Context, name string, size int64, uuid [16]byte) error {
		if err := emptyFile(name, size); err != nil {
			return err
		}
		meta := fmt.Sprintf(
			"crc=1,finobt=1,uuid=%s,rmapbt=%d,reflink=%d",
			uuidString(uuid),
			bit(spec.RMapBT),
			bit(spec.Reflink),
		)
		// Features newer than 5.10 stay off: older kernels treat them as experimental,
		// or do not mount the file system.
		meta += offWhereKnown(usage, "bigtime", "inobtcount", "autofsck", "metadir")
		args := []string{"-q", "-f", "-K", "-m", meta,
			"-i", "size=512,sparse=1" + offWhereKnown(usage, "nrext64", "exchange"),
			"-n", "ftype=1" + offWhereKnown(usage, "parent"),
			// su aligns allocations of 2 MiB and more (xfs_bmap_btalloc), and the
			// allocation groups, so that DAX can map PMDs.
			"-d", "agcount=2,su=2m,sw=1", "-l", fmt.Sprintf("su=%d,size=64m", cmp.Or(spec.BlockSize, 4096))}
		if spec.BlockSize != 0 {
			args = append(args, "-b", fmt.Sprint("size=", spec.BlockSize))
		}
		if spec.Label != "" {
			args = append(args, "-L", spec.Label)
		}
		// Newer mkfs.xfs honours both (mkfs.xfs(8), ENVIRONMENT); canonXFS handles the others.
		env := []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", epoch), "DETERMINISTIC_SEED=1"}
		if _, err := runTool(ctx, env, tool, append(args, name)...); err != nil {
			return err
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(canonXFS(f), f.Close())
	}
	return mkfs{version: version, format: format}, nil
}

// offWhereKnown disables those options that the usage text lists.
func offWhereKnown(usage string, options ...string) string {
	var s string
	for _, o := range options {
		if strings.Contains(usage, o+"=0|1") {
			s += "," + o + "=0"
		}
	}
	return s
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func emptyFile(name string, size int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(size)
}

// uuidFor derives a version 8 UUID (RFC 9562) from a purpose and the parts.
func uuidFor(purpose string, parts ...string) [16]byte {
	sum, _ := hex.DecodeString(cache.Key(purpose, cache.Key(parts...))) // Key is hex
	u := [16]byte(sum[:16])
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u
}

func uuidString(u [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
