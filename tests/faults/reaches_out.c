/* Notes every address outside of this machine that a process asks for: LD_PRELOAD=… REACHES_OUT_LOG=file program. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void note(const char *what, const char *whom) {
  const char *log = getenv("REACHES_OUT_LOG");
  char line[512];
  int file = log ? open(log, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
  if (file < 0) return;
  int length = snprintf(line, sizeof line, "%s %s\n", what, whom);
  if (write(file, line, (size_t)length) < 0) _exit(97);
  close(file);
}

static void note_address(const char *what, const struct sockaddr *to) {
  char text[INET6_ADDRSTRLEN] = "";
  if (!to) return;
  if (to->sa_family == AF_INET) inet_ntop(AF_INET, &((const struct sockaddr_in *)to)->sin_addr, text, sizeof text);
  if (to->sa_family == AF_INET6) inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)to)->sin6_addr, text, sizeof text);
  if (*text && strncmp(text, "127.", 4) && strcmp(text, "::1") && strcmp(text, "::ffff:127.0.0.1")) note(what, text);
}

int connect(int socket, const struct sockaddr *to, socklen_t length) {
  note_address("connect", to);
  return ((int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect"))(socket, to, length);
}

ssize_t sendto(int socket, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
  note_address("sendto", to);
  return ((ssize_t(*)(int, const void *, size_t, int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "sendto"))(
      socket, data, size, flags, to, length);
}

int getaddrinfo(const char *name, const char *port, const struct addrinfo *hints, struct addrinfo **found) {
  if (name && strcmp(name, "localhost") && strcmp(name, "127.0.0.1") && strcmp(name, "::1")) note("look up", name);
  return ((int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
      RTLD_NEXT, "getaddrinfo"))(name, port, hints, found);
}
