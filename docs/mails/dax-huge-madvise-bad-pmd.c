// SPDX-License-Identifier: GPL-2.0
/*
 * A process maps 2 MiB of a DAX file with a huge page, and gives the advice
 * MADV_COLD on it. The page should stay mapped, and the kernel should log
 * nothing.
 *
 *   gcc -static -O2 -o dax-huge-madvise-bad-pmd dax-huge-madvise-bad-pmd.c
 *   ./dax-huge-madvise-bad-pmd FILE     # on a file system mounted with -o dax
 *
 * Exit status: 0 the page is still mapped, 1 it is not, 2 the test could not
 * be run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLD
#define MADV_COLD 20
#endif

#define HUGE (2UL << 20)

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 2;
}

/* A page that was never touched is present only if a huge page maps it. */
static int is_huge(void *at)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	off_t where = ((uintptr_t)at + HUGE - 4096) / 4096 * 8;

	if (fd < 0 || pread(fd, &entry, sizeof(entry), where) != sizeof(entry))
		return -1;
	close(fd);
	return entry >> 63;
}

int main(int argc, char **argv)
{
	char *area, *at;
	int fd, ret;

	if (argc != 2) {
		printf("usage: %s FILE\n", argv[0]);
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return fail(argv[1]);
	errno = posix_fallocate(fd, 0, HUGE);
	if (errno)
		return fail("fallocate 2 MiB");
	area = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	at = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));
	if (area == MAP_FAILED ||
	    mmap(at, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return fail("mmap 2 MiB");
	*(volatile char *)at = 1;
	if (is_huge(at) != 1) {
		printf("there is no huge page; give a file on DAX whose blocks are aligned to 2 MiB\n");
		return 2;
	}
	ret = madvise(at, 4096, MADV_COLD);
	printf("madvise(MADV_COLD): %s\n", ret ? strerror(errno) : "0");
	if (is_huge(at) == 1) {
		printf("the huge page is still mapped\n");
		return 0;
	}
	printf("the huge page is not mapped any more\n");
	return 1;
}
