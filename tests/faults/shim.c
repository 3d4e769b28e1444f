/* Loaded with LD_PRELOAD: counts, logs and breaks what a process does to the files under one folder.
 *
 * Every call that changes the disk is one operation. `fault_arm` starts counting; at operation number `at` the
 * process is killed or stopped, or the call fails with `error` (once, or from there on), or a write is cut short.
 * `fault_log` writes each operation that succeeded to a file, for rebuilding what a crash could have left.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KILL = -1, SHORT = -2, STOP = -3 };

static char root[PATH_MAX];
static long count, at;
static int armed, fault, sticky, log_fd = -1;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

void fault_arm(const char *folder, long number, int kind, int from_there_on)
{
    snprintf(root, sizeof root, "%s", folder);
    at = number; fault = kind; sticky = from_there_on; count = 0; armed = 1;
}

void fault_log(const char *folder, const char *path)
{
    fault_arm(folder, 0, 0, 0);
    log_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

long fault_count(void) { return count; }

void fault_disarm(void) { armed = 0; }

/* Armed from the environment too: FAULT_ROOT, FAULT_AT, FAULT_KIND, FAULT_STICKY. */
__attribute__((constructor)) static void from_environment(void)
{
    const char *folder = getenv("FAULT_ROOT");
    if (folder)
        fault_arm(folder, atol(getenv("FAULT_AT")), atoi(getenv("FAULT_KIND")), getenv("FAULT_STICKY") != NULL);
}

static int inside(const char *path)
{
    size_t length = strlen(root);
    return armed && !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

static const char *whole(int folder, const char *path, char *out)
{
    char link[64], base[PATH_MAX];
    ssize_t length;
    if (path[0] == '/') { snprintf(out, PATH_MAX, "%s", path); return out; }
    if (folder == AT_FDCWD) { if (!getcwd(base, sizeof base)) base[0] = 0; }
    else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        length = readlink(link, base, sizeof base - 1);
        base[length < 0 ? 0 : length] = 0;
    }
    if (snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) out[0] = 0;
    return out;
}

static int of_descriptor(int descriptor, char *out)
{
    char link[64];
    ssize_t length;
    if (!armed || descriptor == log_fd) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, out, PATH_MAX - 1);
    if (length < 0) return 0;
    out[length] = 0;
    return inside(out);
}

/* Counts an operation; returns 0 to go on, -1 to fail with errno, 1 to write short. */
static int operation(int writes)
{
    count++;
    if (!fault || !(count == at || (sticky && count > at && at))) return 0;
    if (fault == KILL) kill(getpid(), SIGKILL);
    if (fault == STOP) { kill(getpid(), SIGSTOP); return 0; }
    if (fault == SHORT) return writes;
    errno = fault;
    return -1;
}

static void put(const void *bytes, size_t length)
{
    REAL(write);
    while (length) {
        ssize_t done = real(log_fd, bytes, length);
        if (done <= 0) abort();
        bytes = (const char *)bytes + done; length -= done;
    }
}

/* One record: kind, inode, offset, lengths of two paths and of the bytes, then these. */
static void record(char kind, uint64_t inode, uint64_t offset, const char *one, const char *two,
                   const void *bytes, uint64_t length)
{
    uint64_t numbers[5] = {inode, offset, strlen(one), strlen(two), length};
    int kept = errno;
    if (log_fd < 0) return;
    put(&kind, 1); put(numbers, sizeof numbers);
    put(one, numbers[2]); put(two, numbers[3]); put(bytes, length);
    errno = kept;
}

static uint64_t inode_of(int descriptor)
{
    struct stat status;
    return fstat(descriptor, &status) ? 0 : status.st_ino;
}

static uint64_t inode_at(const char *path)
{
    struct stat status;
    return lstat(path, &status) ? 0 : status.st_ino;
}

static int open_common(int folder, const char *path, int flags, mode_t mode)
{
    REAL(openat);
    char full[PATH_MAX];
    int descriptor, fresh;
    if (!armed || (flags & O_ACCMODE) == O_RDONLY || !inside(whole(folder, path, full)))
        return real(folder, path, flags, mode);
    if (operation(0)) return -1;
    fresh = inode_at(full) == 0;
    descriptor = real(folder, path, flags, mode);
    if (descriptor >= 0 && fresh) record('c', inode_of(descriptor), 0, full, "", "", 0);
    if (descriptor >= 0 && !fresh && (flags & O_TRUNC)) record('t', inode_of(descriptor), 0, full, "", "", 0);
    return descriptor;
}

#define MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE return open_common(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return open_common(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE return open_common(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE return open_common(folder, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_common(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

ssize_t write(int descriptor, const void *bytes, size_t length)
{
    REAL(write);
    char path[PATH_MAX];
    ssize_t done;
    uint64_t offset;
    int broken;
    if (!of_descriptor(descriptor, path)) return real(descriptor, bytes, length);
    if ((broken = operation(length > 1)) < 0) return -1;
    offset = lseek(descriptor, 0, SEEK_CUR);
    done = real(descriptor, bytes, broken ? length / 2 : length);
    if (done > 0) record('w', inode_of(descriptor), offset, path, "", bytes, done);
    return done;
}

static ssize_t pwrite_common(int descriptor, const void *bytes, size_t length, off_t offset)
{
    REAL(pwrite);
    char path[PATH_MAX];
    ssize_t done;
    int broken;
    if (!of_descriptor(descriptor, path)) return real(descriptor, bytes, length, offset);
    if ((broken = operation(length > 1)) < 0) return -1;
    done = real(descriptor, bytes, broken ? length / 2 : length, offset);
    if (done > 0) record('w', inode_of(descriptor), offset, path, "", bytes, done);
    return done;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset)
{
    return pwrite_common(descriptor, bytes, length, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off_t offset)
{
    return pwrite_common(descriptor, bytes, length, offset);
}

ssize_t writev(int descriptor, const struct iovec *parts, int number)
{
    REAL(writev);
    char path[PATH_MAX];
    if (!of_descriptor(descriptor, path)) return real(descriptor, parts, number);
    return write(descriptor, parts[0].iov_base, parts[0].iov_len); /* a short count: the caller goes on */
}

static int resize(int descriptor, off_t length)
{
    REAL(ftruncate);
    char path[PATH_MAX];
    int failed;
    if (!of_descriptor(descriptor, path)) return real(descriptor, length);
    if (operation(0)) return -1;
    failed = real(descriptor, length);
    if (!failed) record('t', inode_of(descriptor), length, path, "", "", 0);
    return failed;
}

int ftruncate(int descriptor, off_t length) { return resize(descriptor, length); }
int ftruncate64(int descriptor, off_t length) { return resize(descriptor, length); }

int fsync(int descriptor)
{
    REAL(fsync);
    char path[PATH_MAX];
    int failed;
    if (!of_descriptor(descriptor, path)) return real(descriptor);
    if (operation(0)) return -1;
    failed = real(descriptor);
    if (!failed) record('s', inode_of(descriptor), 0, path, "", "", 0);
    return failed;
}

int fdatasync(int descriptor) { return fsync(descriptor); }

#define TWO_PATHS(letter, call, one, two) \
    char from[PATH_MAX], to[PATH_MAX]; \
    uint64_t inode; \
    int failed; \
    whole(one##_folder, one, from); whole(two##_folder, two, to); \
    if (!armed || !(inside(from) || inside(to))) return call; \
    if (operation(0)) return -1; \
    inode = inode_at(from); \
    failed = call; \
    if (!failed) record(letter, inode, 0, from, to, "", 0); \
    return failed

int renameat(int old_folder, const char *old, int new_folder, const char *new)
{
    REAL(renameat);
    TWO_PATHS('r', real(old_folder, old, new_folder, new), old, new);
}

int rename(const char *old, const char *new) { return renameat(AT_FDCWD, old, AT_FDCWD, new); }

int linkat(int old_folder, const char *old, int new_folder, const char *new, int flags)
{
    REAL(linkat);
    TWO_PATHS('l', real(old_folder, old, new_folder, new, flags), old, new);
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int unlinkat(int folder, const char *path, int flags)
{
    REAL(unlinkat);
    char full[PATH_MAX];
    uint64_t inode;
    int failed;
    if (!armed || !inside(whole(folder, path, full))) return real(folder, path, flags);
    if (operation(0)) return -1;
    inode = inode_at(full);
    failed = real(folder, path, flags);
    if (!failed) record('u', inode, 0, full, "", "", 0);
    return failed;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int folder, const char *path, mode_t mode)
{
    REAL(mkdirat);
    char full[PATH_MAX];
    int failed;
    if (!armed || !inside(whole(folder, path, full))) return real(folder, path, mode);
    if (inode_at(full)) { errno = EEXIST; return -1; }
    if (operation(0)) return -1;
    failed = real(folder, path, mode);
    if (!failed) record('m', inode_at(full), 0, full, "", "", 0);
    return failed;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
