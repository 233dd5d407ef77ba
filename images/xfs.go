package images

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Offsets in bytes; all but the checksum is big-endian.
const (
	// struct xfs_dsb, fs/xfs/libxfs/xfs_format.h
	sbMagic, sbRootIno              = 0, 56
	sbAGBlocks, sbInodeSize         = 84, 104
	sbBlockLog, sbInopbLog, sbAGLog = 120, 123, 124
	sbBytes                         = 512
	// struct xfs_dinode, version 3
	inVersion, inTimes, inCRC, inCRTime, inLeast = 4, 32, 100, 144, 176
	inodesPerChunk                               = 64 // XFS_INODES_PER_CHUNK
)

type readWriterAt interface {
	io.ReaderAt
	io.WriterAt
}

// canonXFS sets the times of the inodes that mkfs.xfs makes (the root directory and
// the realtime files, one chunk) to epoch: mkfs.xfs 6.1 uses the clock's, which is the
// only difference between two runs. Times are in seconds and nanoseconds, as without
// bigtime (struct xfs_legacy_timestamp).
func canonXFS(f readWriterAt) error {
	sb := make([]byte, sbBytes)
	if _, err := f.ReadAt(sb, 0); err != nil {
		return fmt.Errorf("read the xfs superblock: %w", err)
	}
	be := binary.BigEndian
	if string(sb[sbMagic:sbMagic+4]) != "XFSB" {
		return errors.New("not an xfs superblock")
	}
	root, inodeBytes := be.Uint64(sb[sbRootIno:]), int64(be.Uint16(sb[sbInodeSize:]))
	blockLog, inopbLog, agLog := sb[sbBlockLog], sb[sbInopbLog], sb[sbAGLog]
	if inodeBytes < inLeast || blockLog > 16 || inopbLog > 8 || agLog > 31 {
		return errors.New("xfs superblock: implausible geometry")
	}
	// An inode number consists of its group, its block in the group and its index in the
	// block (XFS_INO_TO_AGNO and similar macros).
	first := root &^ (inodesPerChunk - 1)
	group := int64(first >> (agLog + inopbLog))
	block := int64(first>>inopbLog) & (1<<agLog - 1)
	at := (group*int64(be.Uint32(sb[sbAGBlocks:])) + block) << blockLog

	for i := range int64(inodesPerChunk) {
		in := make([]byte, inodeBytes)
		if _, err := f.ReadAt(in, at+i*inodeBytes); err != nil {
			return fmt.Errorf("read xfs inode %d: %w", first+uint64(i), err)
		}
		used := be.Uint16(in[2:]) != 0 // di_mode
		if string(in[:2]) != "IN" || in[inVersion] != 3 || !used {
			continue
		}
		for _, t := range []int{inTimes, inTimes + 8, inTimes + 16, inCRTime} {
			be.PutUint32(in[t:], epoch)
			be.PutUint32(in[t+4:], 0)
		}
		clear(in[inCRC : inCRC+4])
		binary.LittleEndian.PutUint32(in[inCRC:], crc32.Checksum(in, crc32.MakeTable(crc32.Castagnoli)))
		if _, err := f.WriteAt(in, at+i*inodeBytes); err != nil {
			return fmt.Errorf("write xfs inode %d: %w", first+uint64(i), err)
		}
	}
	return nil
}

// Log returns where the log of an XFS is, in bytes from the file system's start.
func Log(f io.ReaderAt) (start, length int64, err error) {
	const sbLogStart, sbLogBlocks = 48, 96
	sb := make([]byte, sbBytes)
	if _, err := f.ReadAt(sb, 0); err != nil {
		return 0, 0, fmt.Errorf("read the xfs superblock: %w", err)
	}
	be := binary.BigEndian
	blockLog, agLog := sb[sbBlockLog], sb[sbAGLog]
	if string(sb[sbMagic:sbMagic+4]) != "XFSB" || blockLog > 16 || agLog > 31 {
		return 0, 0, errors.New("not an xfs superblock")
	}
	// A block's number consists of its group and its block in the group (XFS_FSB_TO_AGNO).
	first := be.Uint64(sb[sbLogStart:])
	block := int64(first>>agLog)*int64(be.Uint32(sb[sbAGBlocks:])) + int64(first&(1<<agLog-1))
	return block << blockLog, int64(be.Uint32(sb[sbLogBlocks:])) << blockLog, nil
}
