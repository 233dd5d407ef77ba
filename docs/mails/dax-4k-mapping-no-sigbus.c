// SPDX-License-Identifier: GPL-2.0
/*
 * One process maps 2 MiB of a DAX file with a huge page. Another maps 4 KiB
 * from the middle of it, and poisons that page with MADV_HWPOISON. It should
 * get SIGBUS, and its page should be unmapped.
 *
 *   gcc -static -O2 -o dax-4k-mapping-no-sigbus dax-4k-mapping-no-sigbus.c
 *   ./dax-4k-mapping-no-sigbus FILE     # on a file system mounted with -o dax
 *
 * As root, with CONFIG_MEMORY_FAILURE. Exit status: 0 SIGBUS as expected,
 * 1 no SIGBUS, 2 the test could not be run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_HWPOISON
#define MADV_HWPOISON 100
#endif

#define HUGE (2UL << 20)
#define OFFSET (5UL << 12)

static sigjmp_buf env;
static siginfo_t got;

static void handler(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	got = *info;
	siglongjmp(env, 1);
}

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

/* Maps the whole file with a huge page, and waits. */
static int mapper(int fd, int ready)
{
	char *area = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));
	char byte;

	if (area == MAP_FAILED ||
	    mmap(at, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return fail("mmap 2 MiB");
	*(volatile char *)at = 1;
	byte = is_huge(at);
	if (write(ready, &byte, 1) != 1)
		return fail("write");
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER };
	volatile int signaled = 0, ret = -1, error = 0;
	int fds[2], fd;
	char huge = 0;
	char *page;
	pid_t child;

	if (argc != 2) {
		printf("usage: %s FILE\n", argv[0]);
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return fail(argv[1]);
	errno = posix_fallocate(fd, 0, HUGE);
	if (errno || pipe(fds))
		return fail("fallocate 2 MiB");
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ret = mapper(fd, fds[1]);
		fflush(stdout);
		_exit(ret);
	}
	close(fds[1]);
	if (child < 0 || read(fds[0], &huge, 1) != 1)
		return fail("the first process");
	if (huge != 1) {
		printf("the first process has no huge page; give a file on DAX whose blocks are aligned to 2 MiB\n");
		return 2;
	}

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, OFFSET);
	if (page == MAP_FAILED)
		return fail("mmap 4 KiB");
	*(volatile char *)page = 2;
	sigaction(SIGBUS, &sa, NULL);
	if (sigsetjmp(env, 1) == 0) {
		ret = madvise(page, 4096, MADV_HWPOISON);
		error = errno;
	} else {
		signaled = 1;
	}
	if (!signaled && ret) {
		errno = error;
		return fail("MADV_HWPOISON");
	}
	if (signaled)
		printf("madvise(MADV_HWPOISON): SIGBUS, si_code %d, si_addr_lsb %d, si_addr %s\n",
		       got.si_code, got.si_addr_lsb, got.si_addr == page ? "of the page" : "elsewhere");
	else
		printf("madvise(MADV_HWPOISON): returned 0 without a signal\n");
	if (!signaled && sigsetjmp(env, 1) == 0)
		printf("the page is still mapped: a load reads %d\n", *(volatile char *)page);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return !signaled;
}
