/*
 * What Xen tells of domains, both as libxenmanage and as libxenctrl. There are the
 * domains 0, 3, 5 and 7: running, shut down, being destroyed, and destroyed but for
 * the id.
 *
 * -DOTHER_RELEASE makes a library of another release of Xen: it can be opened, but Xen
 * refuses what it asks. -DNO_DEVICE makes one that cannot be opened.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    unsigned int domid, manage, control;
} domains[] = {
    { 0, 1, 1u << 5 },
    { 3, 1 | 2, 4 },
    { 5, 1 | 2 | 4, 4 },
    { 7, 1 | 2 | 8, 4 | 1 },
};
enum { COUNT = sizeof domains / sizeof domains[0] };

static int handles, gone[COUNT], changed[COUNT] = { 1, 1, 1, 1 };

static int refused(void *h)
{
    if (h != &handles)
        abort();
#ifdef OTHER_RELEASE
    errno = EACCES;
    return 1;
#else
    return 0;
#endif
}

void fake_vanish(unsigned int domid)
{
    for (int i = 0; i < COUNT; i++)
        if (domains[i].domid == domid)
            gone[i] = changed[i] = 1;
}

int fake_handles(void *h)
{
    (void)h;
    return handles;
}

int fake_silent_failure(void *h)
{
    (void)h;
    return -1;
}

void *fake_address(void *h, int valid)
{
    errno = EINVAL;
    return valid ? h : NULL;
}

static int answer(int i, unsigned int *state, unsigned int *caps, uint64_t *unique_id)
{
    if (state)
        *state = gone[i] ? 0 : domains[i].manage;
    if (caps)
        *caps = 7;
    if (unique_id)
        *unique_id = gone[i] ? 0 : ((uint64_t)1 << 63) + domains[i].domid;
    return 0;
}

void *xenmanage_open(void *logger, unsigned int flags)
{
    (void)logger;
#ifdef NO_DEVICE
    errno = ENODEV;
    return NULL;
#endif
    if (flags) {
        errno = EINVAL;
        return NULL;
    }
    handles++;
    return &handles;
}

int xenmanage_close(void *h)
{
    if (h != &handles)
        abort();
    handles--;
    return 0;
}

int xenmanage_get_domain_info(void *h, unsigned int domid, unsigned int *state,
                              unsigned int *caps, uint64_t *unique_id)
{
    if (refused(h))
        return -1;
    for (int i = 0; i < COUNT; i++)
        if (domains[i].domid == domid && !gone[i])
            return answer(i, state, caps, unique_id);
    errno = ESRCH;
    return -1;
}

int xenmanage_poll_changed_domain(void *h, unsigned int *domid, unsigned int *state,
                                  unsigned int *caps, uint64_t *unique_id)
{
    if (refused(h))
        return -1;
    for (int i = 0; i < COUNT; i++)
        if (changed[i]) {
            changed[i] = 0;
            *domid = domains[i].domid;
            return answer(i, state, caps, unique_id);
        }
    errno = ENOENT;
    return -1;
}

void *xc_interface_open(void *logger, void *dombuild_logger, unsigned int flags)
{
    (void)dombuild_logger;
    return xenmanage_open(logger, flags);
}

int xc_interface_close(void *h)
{
    return xenmanage_close(h);
}

int xc_domain_getinfolist(void *h, uint32_t first, unsigned int max, void *out)
{
    struct {
        uint16_t domid, pad;
        uint32_t flags;
        char rest[104];
    } record;

    if (refused(h))
        return -1;
    for (int i = 0; i < COUNT; i++)
        if (max == 1 && domains[i].domid >= first && !gone[i]) {
            memset(&record, 0xa5, sizeof record);
            record.domid = domains[i].domid;
            record.flags = domains[i].control;
            memcpy(out, &record, sizeof record);
            return 1;
        }
    return 0;
}

/* Port 21 is bound to port 7 of domain 3, port 22 to a virtual interrupt. */
int xc_evtchn_status(void *h, void *status)
{
    struct {
        uint16_t dom;
        uint32_t port, status, vcpu;
        union {
            struct {
                uint16_t dom;
                uint32_t port;
            } interdomain;
            uint32_t virq;
        } u;
    } *out = status;

    if (refused(h))
        return -1;
    if (out->dom != 0x7ff0 || out->port > 500) {
        errno = EINVAL;
        return -1;
    }
    memset(&out->u, 0, sizeof out->u);
    out->status = 0;
    if (out->port == 21) {
        out->status = 2;
        out->u.interdomain.dom = 3;
        out->u.interdomain.port = 7;
    } else if (out->port == 22) {
        out->status = 4;
        out->u.virq = 3;
    }
    return 0;
}
