/* libxengnttab and libxenctrl: the pages of domains, and how domains are. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xenctrl.h>
#include <xengnttab.h>

#include "shim.h"

/* The grant of its ring that every domain has (GNTTAB_RESERVED_XENSTORE). */
enum { RING_GRANT = 1 };

struct xengntdev_handle {
    int unused;
};

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    return calloc(1, sizeof(struct xengntdev_handle));
}

int xengnttab_close(xengnttab_handle *handle)
{
    free(handle);
    return 0;
}

int xengnttab_set_max_grants(xengnttab_handle *handle, uint32_t count)
{
    (void)handle;
    (void)count;
    return 0;
}

void *xengnttab_map_grant_ref(xengnttab_handle *handle, uint32_t domid, uint32_t ref,
                              int prot)
{
    (void)handle;
    (void)prot;
    if (ref == RING_GRANT)
        return map_ring(domid, 0);
    errno = EINVAL;
    return NULL;
}

int xengnttab_unmap(xengnttab_handle *handle, void *start, uint32_t count)
{
    (void)handle;
    return munmap(start, (size_t)count * PAGE);
}

struct xc_interface_core {
    int unused;
};

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *other,
                                unsigned flags)
{
    static struct xc_interface_core only;

    (void)logger;
    (void)other;
    (void)flags;
    return &only;
}

int xc_interface_close(xc_interface *handle)
{
    (void)handle;
    return 0;
}

const xc_error *xc_get_last_error(xc_interface *handle)
{
    static xc_error last;

    (void)handle;
    last.code = XC_INTERNAL_ERROR;
    snprintf(last.message, sizeof last.message, "%s", strerror(errno));
    return &last;
}

/* Tell whether there is a domain, with ESRCH if there is none. */
static int exists(uint32_t domid)
{
    if (domid == 0 || (domid < DOMID_FIRST_RESERVED && has_file("ring", domid)))
        return 1;
    errno = ESRCH;
    return 0;
}

static int is_marked(const char *name, uint32_t domid)
{
    return domid != 0 && has_file(name, domid);
}

#if __XEN_LATEST_INTERFACE_VERSION__ < 0x00041300 /* gone after 4.17 */
int xc_domain_getinfo(xc_interface *handle, uint32_t first, unsigned count,
                      xc_dominfo_t *info)
{
    (void)handle;
    if (count < 1 || !exists(first))
        return 0;
    memset(info, 0, sizeof *info);
    info->domid = first;
    info->dying = is_marked("dying", first);
    info->shutdown = is_marked("shutdown", first);
    info->running = !info->dying && !info->shutdown;
    return 1;
}
#endif

int xc_domain_getinfolist(xc_interface *handle, uint32_t first, unsigned count,
                          xc_domaininfo_t *info)
{
    (void)handle;
    if (count < 1 || !exists(first))
        return 0;
    memset(info, 0, sizeof *info);
    info->domain = first;
    if (is_marked("dying", first))
        info->flags |= XEN_DOMINF_dying;
    if (is_marked("shutdown", first))
        info->flags |= XEN_DOMINF_shutdown;
    return 1;
}

void *xc_map_foreign_range(xc_interface *handle, uint32_t domid, int size, int prot,
                           unsigned long frame)
{
    (void)handle;
    (void)size;
    (void)prot;
    (void)frame;
    return map_ring(domid, 0);
}
