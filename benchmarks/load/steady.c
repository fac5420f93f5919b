/* Equal requests without pause: one client, many clients, many at once of one. */
#include "xsload.h"

/* Common set-up. */
struct conn *cs;
int ep = -1;

void open_all(long n, size_t rcap)
{
    cs = xmalloc(n * sizeof(*cs));
    for (long i = 0; i < n; i++) {
        c_open(&cs[i], rcap);
        cs[i].idx = i;
    }
}

void ep_add(struct conn *c)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

    if (ep < 0)
        ep = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e))
        die("epoll_ctl: %s", strerror(errno));
}

void key(char *b, long i)
{
    sprintf(b, BASE "/domain/%ld/device/vif/0/state", i);
}

void make_keys(struct conn *c, long n)
{
    char k[128];

    for (long i = 0; i < n; i++) {
        key(k, i);
        x_write(c, k, val, o_size);
    }
}

void clean(struct conn *c)
{
    x_rm(c, BASE);
}

void head(void)
{
    j_s("mode", o_mode);
    if (o_pid)
        j_i("pid", o_pid);
}

/* Sync round trips. */

long sync_loop(struct conn *c, int kind, double secs, struct lat *l,
              const char *path)
{
    uint8_t rd[2][HDR + 512], wr[HDR + PAYLOAD_MAX], pl[PAYLOAD_MAX];
    uint8_t dir[HDR + 512], perm[HDR + 512];
    char parent[256];
    size_t rn[2], wn, dn, pn, k = strlen(path) + 1;
    uint64_t t, u, end;
    struct hdr h;
    long ops = 0;

    rn[0] = put(rd[0], X_READ, 0, 0, path, k);
    memcpy(pl, path, k);
    memcpy(pl + k, val, o_size);
    wn = put(wr, X_WRITE, 0, 0, pl, k + o_size);
    strcpy(parent, path);
    *strrchr(parent, '/') = 0;
    dn = put(dir, X_DIRECTORY, 0, 0, parent, strlen(parent) + 1);
    pn = put(perm, X_GET_PERMS, 0, 0, path, k);

    t = now();
    end = t + (uint64_t)(secs * 1e9);
    while (t < end) {
        uint8_t *b = rd[0], *p;
        size_t n = rn[0];

        if (kind == K_WRITE) {
            b = wr; n = wn;
        } else if (kind == K_MIXED) {
            /* 70% READ, 15% WRITE, 10% DIRECTORY, 5% GET_PERMS */
            uint32_t r = rnd() % 20;

            if (r >= 14 && r < 17) { b = wr; n = wn; }
            else if (r >= 17 && r < 19) { b = dir; n = dn; }
            else if (r == 19) { b = perm; n = pn; }
        }
        ((struct hdr *)b)->req = ++c->req;
        c_send(c, b, n);
        p = c_reply(c, &h);
        u = now();
        check(&h, p, ((struct hdr *)b)->type,
              b == rd[0] ? o_size : -1, path);
        if (l)
            lat_add(l, u - t);
        t = u;
        ops++;
    }
    return ops;
}

void m_sync(int kind)
{
    struct conn c;
    struct phase ph;
    struct lat l = { 0 };
    char k[128];
    long ops;

    c_open(&c, 65536);
    clean(&c);
    make_keys(&c, 10);
    key(k, 7);
    sync_loop(&c, kind, 0.2, NULL, k);
    ph_start(&ph);
    ops = sync_loop(&c, kind, o_secs, &l, k);
    ph_stop(&ph);
    head();
    ph_json(&ph, ops);
    j_lat("", &l);
    j_end();
    clean(&c);
}

/* C clients, one outstanding request each. */
void m_conc(void)
{
    struct epoll_event ev[256];
    struct lat l = { 0 };
    struct phase ph;
    uint64_t end, t;
    long n = o_clients > 0 ? o_clients : 10, ops = 0;
    uint8_t **req = xmalloc(n * sizeof(*req));
    size_t *rn = xmalloc(n * sizeof(*rn));
    bool warm = false;

    open_all(n, 2 * (HDR + PAYLOAD_MAX));
    clean(&cs[0]);
    make_keys(&cs[0], 100);
    for (long i = 0; i < n; i++) {
        char k[128];
        uint8_t pl[PAYLOAD_MAX];
        size_t kl;

        key(k, i % 100);
        kl = strlen(k) + 1;
        memcpy(pl, k, kl);
        if (o_write)
            memcpy(pl + kl, val, o_size);
        req[i] = xmalloc(HDR + kl + o_size);
        rn[i] = put(req[i], o_write ? X_WRITE : X_READ, 1, 0, pl,
                kl + (o_write ? o_size : 0));
        ep_add(&cs[i]);
    }
    for (long i = 0; i < n; i++) {
        cs[i].t0 = now();
        c_send(&cs[i], req[i], rn[i]);
    }
    ph_start(&ph);
    end = ph.t0 + 300000000ull;
    for (;;) {
        int k = epoll_wait(ep, ev, 256, 5000);

        if (k <= 0)
            die("no reply for 5 s");
        for (int i = 0; i < k; i++) {
            struct conn *c = ev[i].data.ptr;
            struct hdr h;
            uint8_t *p;

            c_fill(c);
            p = c_next(c, &h);
            if (!p)
                continue;
            check(&h, p, o_write ? X_WRITE : X_READ,
                  o_write ? 3 : o_size, "request");
            t = now();
            if (warm) {
                lat_add(&l, t - c->t0);
                ops++;
            }
            c->t0 = t;
            c_send(c, req[c->idx], rn[c->idx]);
        }
        t = now();
        if (t >= end) {
            if (warm)
                break;
            warm = true;
            ph_start(&ph);
            end = ph.t0 + (uint64_t)(o_secs * 1e9);
        }
    }
    ph_stop(&ph);
    head();
    j_i("clients", n);
    j_s("op", o_write ? "write" : "read");
    ph_json(&ph, ops);
    j_lat("", &l);
    j_i("srv_rss_kb", srv_status_kb("VmRSS:"));
    j_end();
}

/* Pipelined. */
void m_pipe(void)
{
    struct conn c;
    struct phase ph;
    struct lat l = { 0 };
    uint8_t one[HDR + PAYLOAD_MAX], pl[PAYLOAD_MAX], *b;
    uint64_t *t0, end, t;
    long D = o_depth, ops = 0, out = 0;
    uint32_t req = 0;
    size_t n, kl;
    char k[128];
    bool warm = false;

    c_open(&c, 1 << 18);
    clean(&c);
    make_keys(&c, 10);
    key(k, 7);
    kl = strlen(k) + 1;
    memcpy(pl, k, kl);
    if (o_write)
        memcpy(pl + kl, val, o_size);
    n = put(one, o_write ? X_WRITE : X_READ, 0, 0, pl,
        kl + (o_write ? o_size : 0));
    b = xmalloc(n * D);
    t0 = xmalloc(D * sizeof(*t0));
    ph_start(&ph);
    end = ph.t0 + 200000000ull;
    for (;;) {
        struct hdr h;
        uint8_t *p;
        size_t bl = 0;

        t = now();
        if (t >= end) {
            if (warm)
                break;
            warm = true;
            ph_start(&ph);
            t = ph.t0;
            end = t + (uint64_t)(o_secs * 1e9);
        }
        while (out < D) {
            ((struct hdr *)one)->req = req;
            memcpy(b + bl, one, n);
            bl += n;
            t0[req % D] = t;
            req++;
            out++;
        }
        c_send(&c, b, bl);
        c_fill(&c);
        t = now();
        while ((p = c_next(&c, &h))) {
            check(&h, p, o_write ? X_WRITE : X_READ,
                  o_write ? 3 : o_size, "request");
            if (warm) {
                lat_add(&l, t - t0[h.req % D]);
                ops++;
            }
            out--;
        }
    }
    ph_stop(&ph);
    head();
    j_i("depth", D);
    j_s("op", o_write ? "write" : "read");
    ph_json(&ph, ops);
    j_lat("", &l);
    j_end();
}
