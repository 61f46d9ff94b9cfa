/* Copyright (c) 2026, the octofleet.octopus authors
 * GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Preloaded into a process, it counts the calls that change files or locks, and ends the process at one of them as kill -9 does.
 *
 * What a killed process leaves behind is decided by these calls alone, so their beginnings and ends stand for every moment between them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { DESCRIPTORS = 1024, LINE = 4200 };

static int list = -1; /* where each call is written down; nothing is counted without it */
static long calls, fatal;
static bool afterwards;
static bool watched[DESCRIPTORS]; /* opened for writing, or locked: what closing them does can be seen from outside */

/* From now on: end at the call of this number, before it or right after it; 0 is never. */
void kill_points_arm(int descriptor, long number, int after)
{
    list = descriptor;
    calls = 0;
    fatal = number;
    afterwards = after;
}

static void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

static void before(const char *name, const char *path)
{
    char line[LINE];
    int length = snprintf(line, sizeof line, "%s %s\n", name, path);
    if (syscall(SYS_write, list, line, (size_t)length) != length)
        _exit(1);
    if (++calls == fatal && !afterwards)
        die();
}

static void after(void)
{
    if (calls == fatal && afterwards)
        die();
}

static bool is_watched(int descriptor)
{
    return descriptor >= 0 && descriptor < DESCRIPTORS && watched[descriptor];
}

static void watch(int descriptor, bool yes)
{
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        watched[descriptor] = yes;
}

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

#define COUNTED(type, name, parameters, arguments, when, path) \
    type name parameters                                       \
    {                                                          \
        bool counted = list >= 0 && (when);                    \
        if (counted)                                           \
            before(#name, path);                               \
        type answer = REAL(name) arguments;                    \
        if (counted)                                           \
            after();                                           \
        return answer;                                         \
    }

#define OPENED(name, parameters, ...)                                        \
    int name parameters                                                      \
    {                                                                        \
        va_list optional;                                                    \
        va_start(optional, flags);                                           \
        bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;    \
        mode_t mode = makes ? va_arg(optional, mode_t) : 0;                  \
        va_end(optional);                                                    \
        bool counted = list >= 0 && (makes || flags & (O_WRONLY | O_RDWR | O_TRUNC)); \
        if (counted)                                                         \
            before(#name, path);                                             \
        int descriptor = REAL(name)(__VA_ARGS__, mode);                      \
        watch(descriptor, counted);                                          \
        if (counted)                                                         \
            after();                                                         \
        return descriptor;                                                   \
    }

OPENED(open, (const char *path, int flags, ...), path, flags)
OPENED(openat, (int folder, const char *path, int flags, ...), folder, path, flags)
COUNTED(ssize_t, write, (int descriptor, const void *data, size_t size), (descriptor, data, size), is_watched(descriptor), "")
COUNTED(ssize_t, pwrite, (int descriptor, const void *data, size_t size, off_t at), (descriptor, data, size, at),
        is_watched(descriptor), "")
COUNTED(int, ftruncate, (int descriptor, off_t size), (descriptor, size), true, "")
#ifdef __GLIBC__
OPENED(open64, (const char *path, int flags, ...), path, flags)
OPENED(openat64, (int folder, const char *path, int flags, ...), folder, path, flags)
COUNTED(ssize_t, pwrite64, (int descriptor, const void *data, size_t size, off64_t at), (descriptor, data, size, at),
        is_watched(descriptor), "")
COUNTED(int, ftruncate64, (int descriptor, off64_t size), (descriptor, size), true, "")
#endif
COUNTED(int, fsync, (int descriptor), (descriptor), true, "")
COUNTED(int, fdatasync, (int descriptor), (descriptor), true, "")
COUNTED(int, fchmod, (int descriptor, mode_t mode), (descriptor, mode), true, "")
COUNTED(int, chmod, (const char *path, mode_t mode), (path, mode), true, path)
COUNTED(int, fchown, (int descriptor, uid_t user, gid_t group), (descriptor, user, group), true, "")
COUNTED(int, chown, (const char *path, uid_t user, gid_t group), (path, user, group), true, path)
COUNTED(int, fsetxattr, (int descriptor, const char *name, const void *value, size_t size, int flags),
        (descriptor, name, value, size, flags), true, name)
COUNTED(int, rename, (const char *from, const char *path), (from, path), true, path)
COUNTED(int, renameat, (int old, const char *from, int new, const char *path), (old, from, new, path), true, path)
COUNTED(int, link, (const char *from, const char *path), (from, path), true, path)
COUNTED(int, symlink, (const char *from, const char *path), (from, path), true, path)
COUNTED(int, unlink, (const char *path), (path), true, path)
COUNTED(int, unlinkat, (int folder, const char *path, int flags), (folder, path, flags), true, path)
COUNTED(int, mkdir, (const char *path, mode_t mode), (path, mode), true, path)
COUNTED(int, rmdir, (const char *path), (path), true, path)

int flock(int descriptor, int operation)
{
    if (list >= 0)
        before("flock", "");
    int answer = REAL(flock)(descriptor, operation);
    watch(descriptor, true);
    if (list >= 0)
        after();
    return answer;
}

int close(int descriptor)
{
    bool counted = list >= 0 && is_watched(descriptor);
    if (counted)
        before("close", "");
    watch(descriptor, false);
    int answer = REAL(close)(descriptor);
    if (counted)
        after();
    return answer;
}
