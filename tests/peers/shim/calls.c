/* Calls of the C library that concern what only a host with Xen has. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim.h"

/* Compiled into oxenstored. */
#define SOCKET "/var/run/xenstored/socket"

/* IOCTL_XENBUS_BACKEND_EVTCHN of Linux, of /dev/xen/xenbus_backend. */
#define PORT_OF_DOM0 0x4200ul

static int is_fixed_socket(const char *path, const char **other)
{
    *other = getenv("XENSHIM_SOCKET");
    return *other && **other && strcmp(path, SOCKET) == 0;
}

/* Return where a path leads, which may be written to `buffer`. */
static const char *place_of(const char *path, char buffer[PATH_SIZE])
{
    const char *other;
    void *page;

    if (!path)
        return path;
    if (strcmp(path, "/proc/xen/xsd_port") == 0) {
        path_of(buffer, "xsd_port");
        return buffer;
    }
    if (strcmp(path, "/proc/xen/xsd_kva") == 0 ||
        strcmp(path, "/dev/xen/xenbus_backend") == 0) {
        page = map_ring(0, 1);
        if (page)
            munmap(page, PAGE);
        domain_path(buffer, "ring", 0);
        return buffer;
    }
    return is_fixed_socket(path, &other) ? other : path;
}

static int open_place(const char *path, int flags, mode_t mode)
{
    char buffer[PATH_SIZE];

    return real_open(place_of(path, buffer), flags, mode);
}

static int has_mode(int flags)
{
    return flags & (O_CREAT | __O_TMPFILE);
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list rest;

    va_start(rest, flags);
    if (has_mode(flags))
        mode = va_arg(rest, mode_t);
    va_end(rest);
    return open_place(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list rest;

    va_start(rest, flags);
    if (has_mode(flags))
        mode = va_arg(rest, mode_t);
    va_end(rest);
    return open_place(path, flags, mode);
}

int ioctl(int fd, unsigned long request, ...)
{
    static int (*real)(int, unsigned long, ...);
    void *argument;
    va_list rest;

    va_start(rest, request);
    argument = va_arg(rest, void *);
    va_end(rest);
    if (!real)
        real = dlsym(RTLD_NEXT, "ioctl");
    return request == PORT_OF_DOM0 ? 1 : real(fd, request, argument);
}

int unlink(const char *path)
{
    static int (*real)(const char *);
    char buffer[PATH_SIZE];

    if (!real)
        real = dlsym(RTLD_NEXT, "unlink");
    return real(place_of(path, buffer));
}

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
    static int (*real)(int, const struct sockaddr *, socklen_t);
    struct sockaddr_un un;
    const char *other;

    if (!real)
        real = dlsym(RTLD_NEXT, "bind");
    if (address->sa_family == AF_UNIX &&
        is_fixed_socket(((const struct sockaddr_un *)address)->sun_path, &other) &&
        strlen(other) < sizeof un.sun_path) {
        memset(&un, 0, sizeof un);
        un.sun_family = AF_UNIX;
        strcpy(un.sun_path, other);
        return real(fd, (struct sockaddr *)&un, sizeof un);
    }
    return real(fd, address, size);
}

/* oxenstored asks for more open files than a container may have, and ends without. */
int setrlimit(__rlimit_resource_t what, const struct rlimit *limit)
{
    static int (*real)(__rlimit_resource_t, const struct rlimit *);
    int result;

    if (!real)
        real = dlsym(RTLD_NEXT, "setrlimit");
    result = real(what, limit);
    return result < 0 && errno == EPERM ? 0 : result;
}
