// Logs what a process does to the files under one folder, in order, with the data: enough to rebuild what a disk would
// hold had the power been cut at any moment. Loaded with LD_PRELOAD; POWER_CUT_ROOT is the folder, POWER_CUT_LOG the log.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST 4096
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char *paths[MOST];
static int log_fd = -2;
static const char *root;

static int ready(void) {
  if (log_fd == -2) {
    const char *name = getenv("POWER_CUT_LOG");
    root = getenv("POWER_CUT_ROOT");
    log_fd = name && root ? (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  }
  return log_fd >= 0;
}

static int watched(const char *path) { return path && ready() && !strncmp(path, root, strlen(root)); }

static void put(const void *data, size_t length) { syscall(SYS_write, log_fd, data, length); }

static void note(char what, const char *path, const char *other, long long number, const void *data, size_t length) {
  char head[2 * PATH_MAX + 64];
  int size = snprintf(head, sizeof head, "%c\t%s\t%s\t%lld\t%zu\n", what, path, other ? other : "", number, length);
  put(head, size);
  if (length) put(data, length);
}

#define REAL(type, name) static type (*real)() = NULL; if (!real) real = (type(*)())dlsym(RTLD_NEXT, name)
#define OF(fd) ((fd) >= 0 && (fd) < MOST ? paths[fd] : NULL)

static int opened(int fd, const char *path, int flags, int existed) {
  if (fd >= 0 && fd < MOST && watched(path)) {
    free(paths[fd]);
    paths[fd] = strdup(path);
    if ((flags & O_CREAT) && !existed) note('C', path, NULL, 0, NULL, 0);
    else if (flags & O_TRUNC) note('T', path, NULL, 0, NULL, 0);
  }
  return fd;
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    REAL(int, #name); va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
    pthread_mutex_lock(&lock); int existed = !access(path, F_OK); \
    int fd = opened(real(path, flags, mode), path, flags, existed); pthread_mutex_unlock(&lock); return fd; }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
  int name(int at, const char *path, int flags, ...) { \
    REAL(int, #name); va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
    pthread_mutex_lock(&lock); int existed = !faccessat(at, path, F_OK, 0); \
    int fd = opened(real(at, path, flags, mode), path, flags, existed); pthread_mutex_unlock(&lock); return fd; }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
  REAL(int, "close");
  pthread_mutex_lock(&lock);
  if (OF(fd)) { free(paths[fd]); paths[fd] = NULL; }
  int done = real(fd);
  pthread_mutex_unlock(&lock);
  return done;
}

ssize_t write(int fd, const void *data, size_t length) {
  REAL(ssize_t, "write");
  if (!OF(fd)) return real(fd, data, length);
  pthread_mutex_lock(&lock);
  long long at = lseek(fd, 0, SEEK_CUR);
  ssize_t done = real(fd, data, length);
  if (done > 0) note('W', OF(fd), NULL, at, data, done);
  pthread_mutex_unlock(&lock);
  return done;
}

#define PWRITE(name) \
  ssize_t name(int fd, const void *data, size_t length, off_t at) { \
    REAL(ssize_t, #name); if (!OF(fd)) return real(fd, data, length, at); \
    pthread_mutex_lock(&lock); ssize_t done = real(fd, data, length, at); \
    if (done > 0) note('W', OF(fd), NULL, at, data, done); pthread_mutex_unlock(&lock); return done; }
PWRITE(pwrite)
PWRITE(pwrite64)

#define TRUNCATE(name) \
  int name(int fd, off_t length) { \
    REAL(int, #name); pthread_mutex_lock(&lock); int done = real(fd, length); \
    if (!done && OF(fd)) note('T', OF(fd), NULL, length, NULL, 0); pthread_mutex_unlock(&lock); return done; }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define SYNC(name) \
  int name(int fd) { \
    REAL(int, #name); pthread_mutex_lock(&lock); int done = real(fd); \
    if (!done && OF(fd)) note('S', OF(fd), NULL, 0, NULL, 0); pthread_mutex_unlock(&lock); return done; }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char *old, const char *new) {
  REAL(int, "rename");
  pthread_mutex_lock(&lock);
  int done = real(old, new);
  if (!done && watched(new)) note('R', old, new, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return done;
}

int unlink(const char *path) {
  REAL(int, "unlink");
  pthread_mutex_lock(&lock);
  int done = real(path);
  if (!done && watched(path)) note('U', path, NULL, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return done;
}

int mkdir(const char *path, mode_t mode) {
  REAL(int, "mkdir");
  pthread_mutex_lock(&lock);
  int done = real(path, mode);
  if (!done && watched(path)) note('M', path, NULL, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return done;
}
