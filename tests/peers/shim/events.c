/* libxenevtchn: event channels and virtual interrupts. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xenevtchn.h>

#include "shim.h"

enum { PORTS = 4096 };

struct xenevtchn_handle {
    int fd;
};

/* A file has them, since bindings outlive an exec of the daemon, as Xen's do. */
static struct port {
    int used;
    int stale; /* the other end is bound anew */
    int is_virq;
    uint32_t source; /* a domain, or the number of an interrupt */
    uint32_t remote;
} *ports;

static int map_ports(int anew)
{
    const size_t size = PORTS * sizeof *ports;
    char path[PATH_SIZE];
    void *found = MAP_FAILED;
    int fd;

    path_of(path, "ports");
    fd = real_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if ((!anew || ftruncate(fd, 0) == 0) && ftruncate(fd, size) == 0)
        found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (found == MAP_FAILED)
        return -1;
    ports = found;
    return 0;
}

static int free_port(void)
{
    for (int i = 1; i < PORTS; i++)
        if (!ports[i].used)
            return i;
    errno = ENOSPC;
    return -1;
}

static int is_bound(evtchn_port_t port)
{
    if (port > 0 && port < PORTS && ports[port].used)
        return 1;
    errno = EINVAL;
    return 0;
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd,
                                   unsigned flags)
{
    xenevtchn_handle *handle;

    (void)logger;
    (void)flags;
    if (!ports && map_ports(0) < 0)
        return NULL;
    handle = calloc(1, sizeof *handle);
    if (handle)
        handle->fd = fd;
    return handle;
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned flags)
{
    const int inherited = flags & XENEVTCHN_NO_CLOEXEC ? 0 : O_CLOEXEC;
    char path[PATH_SIZE];
    int fd;

    path_of(path, "port");
    if (mkfifo(path, 0600) < 0 && errno != EEXIST)
        return NULL;
    /* To write as well: so there is no end of the file when the last guest goes. */
    fd = real_open(path, O_RDWR | O_NONBLOCK | inherited, 0);
    if (fd < 0 || map_ports(1) < 0)
        return NULL;
    return xenevtchn_fdopen(logger, fd, flags);
}

int xenevtchn_close(xenevtchn_handle *handle)
{
    if (handle) {
        close(handle->fd);
        free(handle);
    }
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *handle)
{
    return handle->fd;
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *handle, unsigned virq)
{
    const int port = free_port();

    (void)handle;
    if (port > 0)
        ports[port] = (struct port){ .used = 1, .is_virq = 1, .source = virq };
    return port;
}

/* Tell whether a domain offers this port; one that names none offers all. */
static int is_offered(uint32_t domid, evtchn_port_t remote)
{
    char path[PATH_SIZE], text[32];
    ssize_t size;
    int fd;

    domain_path(path, "evtchn", domid);
    fd = real_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return 1;
    size = read(fd, text, sizeof text - 1);
    close(fd);
    text[size > 0 ? size : 0] = 0;
    return size <= 0 || strtoul(text, NULL, 10) == remote;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *handle,
                                                     uint32_t domid,
                                                     evtchn_port_t remote)
{
    int port;

    (void)handle;
    if (domid != 0 && !has_file("ring", domid)) {
        errno = ESRCH;
        return -1;
    }
    if (!is_offered(domid, remote)) {
        errno = EINVAL;
        return -1;
    }
    /*
     * oxenstored does not unbind the ports of domains that are gone; Xen has
     * forgotten those when another domain comes with the same number.
     */
    for (int i = 1; i < PORTS; i++)
        if (ports[i].used && !ports[i].is_virq && ports[i].source == domid &&
            ports[i].remote == remote)
            ports[i].stale = 1;
    port = free_port();
    if (port > 0)
        ports[port] = (struct port){ .used = 1, .source = domid, .remote = remote };
    return port;
}

int xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    if (!is_bound(port))
        return -1;
    memset(&ports[port], 0, sizeof ports[port]);
    return 0;
}

int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
    const int saved = errno;
    char path[PATH_SIZE];
    int fd;

    (void)handle;
    if (!is_bound(port))
        return -1;
    domain_path(path, "kick", ports[port].source);
    fd = real_open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd >= 0) {
        if (write(fd, "", 1) < 0) {
            /* It is full of notifications, of which one would do. */
        }
        close(fd);
    }
    errno = saved;
    return 0;
}

static int is_from(const struct port *port, const uint32_t record[2])
{
    if (!port->used || port->stale)
        return 0;
    if (port->is_virq)
        return record[0] == VIRQ && record[1] == port->source;
    return record[0] == port->source && record[1] == port->remote;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *handle)
{
    uint32_t record[2];

    while (read(handle->fd, record, sizeof record) == (ssize_t)sizeof record)
        for (int i = 1; i < PORTS; i++)
            if (is_from(&ports[i], record))
                return i;
    /*
     * All was for ports that are bound no more. A C xenstored ends at an error; that
     * its own kernel has notified it for nothing does no harm.
     */
    for (int i = 1; i < PORTS; i++)
        if (ports[i].used && !ports[i].is_virq && ports[i].source == 0)
            return i;
    return 1;
}

int xenevtchn_unmask(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    (void)port;
    return 0;
}

/* Of libxenctrl: what one of our ports is bound to. */
int xc_evtchn_status(void *handle, void *asked)
{
    struct {
        uint16_t dom;
        uint32_t port, status, vcpu;
        struct {
            uint16_t dom;
            uint32_t port;
        } interdomain;
    } *status = asked;

    (void)handle;
    if (!is_bound(status->port))
        return -1;
    status->status = ports[status->port].is_virq ? 4 : 2;
    status->interdomain.dom = ports[status->port].source;
    status->interdomain.port = ports[status->port].remote;
    return 0;
}
