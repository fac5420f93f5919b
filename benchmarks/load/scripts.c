/* Sequences of requests: transactions, and what a toolstack does for a domain. */
#include "xsload.h"

/* Scripts: sequences of requests, K clients. */
enum { S_PLAIN, S_START, S_TX, S_COMMIT, S_WAITEV };
struct step { uint8_t kind, type; uint16_t len; uint8_t *pl; };

static void st_add(struct conn *c, int kind, int type, const void *p, size_t n)
{
    struct step *s;

    if (c->nst % 64 == 0) {
        c->st = realloc(c->st, (c->nst + 64) * sizeof(*c->st));
        memset(c->st + c->nst, 0, 64 * sizeof(*c->st));
    }
    s = &c->st[c->nst++];
    s->kind = kind;
    s->type = type;
    s->len = n;
    s->pl = xmalloc(n);
    memcpy(s->pl, p, n);
}

static void st_f(struct conn *c, int kind, int type, const char *f, ...)
{
    /* in the format, '|' stands for a nul byte */
    char b[PAYLOAD_MAX];
    va_list ap;
    int n;

    va_start(ap, f);
    n = vsnprintf(b, sizeof(b), f, ap);
    va_end(ap);
    for (int i = 0; i < n; i++)
        if (b[i] == '|')
            b[i] = 0;
    st_add(c, kind, type, b, n);
}

static void st_clear(struct conn *c)
{
    for (int i = 0; i < c->nst; i++)
        free(c->st[i].pl);
    free(c->st);
    c->st = NULL;
    c->nst = 0;
}

static void st_send(struct conn *c)
{
    struct step *s = &c->st[c->cur];
    uint8_t b[HDR + PAYLOAD_MAX];

    c_send(c, b, put(b, s->type, ++c->req,
             s->kind == S_TX || s->kind == S_COMMIT ? c->tx : 0,
             s->pl, s->len));
}

static long g_reqs;

/* handle what is in the buffer; returns true once the script is done */
static bool st_run(struct conn *c)
{
    struct hdr h;
    uint8_t *p;

    while ((p = c_next(c, &h))) {
        struct step *s;

        if (h.type == X_WATCH_EVENT) {
            c->events++;
        } else {
            g_reqs++;
            s = &c->st[c->cur];
            if (h.type == X_ERROR) {
                if (s->kind == S_COMMIT &&
                    !strcmp((char *)p, "EAGAIN")) {
                    c->again++;
                    do
                        c->cur--;
                    while (c->st[c->cur].kind != S_START);
                    st_send(c);
                    continue;
                }
                die("step %d type %d %.*s: %.*s", c->cur,
                    s->type, s->len, s->pl, (int)h.len, p);
            }
            if (s->kind == S_START && h.len && h.len < 12)
                c->tx = strtoul((char *)p, NULL, 10);
            if ((s->kind == S_START && !c->tx) ||
                h.type != s->type || h.req != c->req ||
                h.tx != (s->kind == S_TX || s->kind == S_COMMIT ?
                     c->tx : 0))
                die("step %d type %d: wrong reply", c->cur, s->type);
            c->cur++;
            if (c->cur == c->nst)
                return true;
            if (c->st[c->cur].kind != S_WAITEV)
                st_send(c);
        }
        if (c->st[c->cur].kind == S_WAITEV) {
            if (c->events - c->ev_base < c->st[c->cur].len)
                continue;
            c->cur++;
            if (c->cur == c->nst)
                return true;
            st_send(c);
        }
    }
    return false;
}

/* run scripts on all K clients for secs; make() fills the next script */
static void st_loop(long K, double secs, void (*make)(struct conn *),
            struct lat *l, struct phase *ph)
{
    struct epoll_event ev[64];
    uint64_t end, t;
    bool warm = false;

    ph_start(ph);
    end = ph->t0 + 300000000ull;
    for (long i = 0; i < K; i++) {
        make(&cs[i]);
        cs[i].cur = 0;
        cs[i].ev_base = cs[i].events;
        cs[i].t0 = now();
        st_send(&cs[i]);
    }
    for (;;) {
        int k;

        if (K == 1) {
            c_fill(&cs[0]);
            k = 1;
            ev[0].data.ptr = &cs[0];
        } else {
            k = epoll_wait(ep, ev, 64, 10000);
            if (k <= 0)
                die("no reply for 10 s");
            for (int i = 0; i < k; i++)
                c_fill(ev[i].data.ptr);
        }
        t = now();
        for (int i = 0; i < k; i++) {
            struct conn *c = ev[i].data.ptr;

            if (!st_run(c))
                continue;
            t = now();
            lat_add(l, t - c->t0);
            c->done++;
            make(c);
            c->cur = 0;
            c->ev_base = c->events;
            c->t0 = t;
            st_send(c);
        }
        if (t >= end) {
            if (warm)
                break;
            warm = true;
            free(l->v);
            memset(l, 0, sizeof(*l));
            g_reqs = 0;
            for (long i = 0; i < K; i++)
                cs[i].done = cs[i].again = 0;
            ph_start(ph);
            end = ph->t0 + (uint64_t)(secs * 1e9);
        }
    }
    ph_stop(ph);
}

static void mk_tx(struct conn *c)
{
    static unsigned long serial;
    char k[128];

    /* every transaction writes another value, as a counter would: a daemon
     * that replays transactions sees that what was read has changed */
    st_clear(c);
    key(k, o_same ? 0 : c->idx);
    st_f(c, S_START, X_TX_START, "|");
    st_f(c, S_TX, X_READ, "%s|", k);
    st_f(c, S_TX, X_WRITE, "%s|%08lu", k, ++serial);
    st_f(c, S_COMMIT, X_TX_END, "T|");
}

void m_tx(void)
{
    long K = o_clients > 0 ? o_clients : 1, done = 0, again = 0;
    struct lat l = { 0 };
    struct phase ph;

    open_all(K, 65536);
    clean(&cs[0]);
    make_keys(&cs[0], K);
    for (long i = 0; i < K && K > 1; i++)
        ep_add(&cs[i]);
    st_loop(K, o_secs, mk_tx, &l, &ph);
    for (long i = 0; i < K; i++) {
        done += cs[i].done;
        again += cs[i].again;
    }
    head();
    j_i("clients", K);
    j_s("keys", o_same ? "same" : "disjoint");
    ph_json(&ph, done);
    j_d("commits_per_s", done / ph_secs(&ph));
    j_i("eagain", again);
    j_d("eagain_pct", done + again ? 100.0 * again / (done + again) : 0);
    j_lat("", &l);
    j_end();
}

/* Domain boot storm. */
static long g_dom = 1000;
static const struct { const char *p, *v; } be_nodes[] = {
    { "frontend-id", "%" }, { "online", "1" }, { "state", "1" },
    { "script", "/etc/xen/scripts/vif-bridge" },
    { "mac", "00:16:3e:5e:6c:00" }, { "bridge", "xenbr0" },
    { "handle", "0" }, { "type", "vif" }, { "hotplug-status", "" },
};

static void mk_boot(struct conn *c)
{
    char d[128], be[128], perm_ro[64], perm_own[64];
    long id = g_dom++;

    if (id > 30000)
        g_dom = 1000;
    st_clear(c);
    sprintf(d, BASE "/local/domain/%ld", id);
    sprintf(be, BASE "/local/domain/0/backend/vif/%ld/0", id);
    sprintf(perm_ro, "n0|r%ld|", id);
    sprintf(perm_own, "b0|b%ld|", id);

    st_f(c, S_START, X_TX_START, "|");
    for (long i = 0; i < NDOM; i++) {
        const char *p = dom_nodes[i].p;

        st_f(c, S_TX, X_WRITE, "%s%s|%s", d, p, dom_nodes[i].v);
        /* as libxl: the tree is read-only, a few places are writable */
        if (!*p)
            st_f(c, S_TX, X_SET_PERMS, "%s|%s", d, perm_ro);
        else if (!strcmp(p, "/device/vif/0") || !strcmp(p, "/data") ||
             !strcmp(p, "/device/vbd/51712") ||
             !strcmp(p, "/drivers") ||
             !strcmp(p, "/control/shutdown"))
            st_f(c, S_TX, X_SET_PERMS, "%s%s|%s", d, p, perm_own);
    }
    for (size_t i = 0; i < sizeof(be_nodes) / sizeof(be_nodes[0]); i++)
        st_f(c, S_TX, X_WRITE, "%s/%s|%s", be, be_nodes[i].p,
             be_nodes[i].v);
    st_f(c, S_TX, X_SET_PERMS, "%s|%s", be, perm_ro);
    st_f(c, S_COMMIT, X_TX_END, "T|");
    /* both ends watch the other, then walk through the states */
    st_f(c, S_PLAIN, X_WATCH, "%s/state|be%ld|", be, id);
    st_f(c, S_PLAIN, X_WATCH, "%s/device/vif/0/state|fe%ld|", d, id);
    st_f(c, S_PLAIN, X_READ, "%s/device/vif/0/backend|", d);
    st_f(c, S_PLAIN, X_WRITE, "%s/state|2", be);
    st_f(c, S_PLAIN, X_READ, "%s/state|", be);
    st_f(c, S_PLAIN, X_WRITE, "%s/device/vif/0/state|3", d);
    st_f(c, S_PLAIN, X_READ, "%s/device/vif/0/state|", d);
    st_f(c, S_PLAIN, X_WRITE, "%s/hotplug-status|connected", be);
    st_f(c, S_PLAIN, X_WRITE, "%s/state|4", be);
    st_f(c, S_PLAIN, X_WRITE, "%s/device/vif/0/state|4", d);
    st_add(c, S_WAITEV, 0, "", 0);
    c->st[c->nst - 1].len = 6;
    st_f(c, S_PLAIN, X_DIRECTORY, BASE "/local/domain/0/backend/vif/%ld|", id);
    /* teardown */
    st_f(c, S_PLAIN, X_WRITE, "%s/control/shutdown|poweroff", d);
    st_f(c, S_PLAIN, X_UNWATCH, "%s/state|be%ld|", be, id);
    st_f(c, S_PLAIN, X_UNWATCH, "%s/device/vif/0/state|fe%ld|", d, id);
    st_f(c, S_START, X_TX_START, "|");
    st_f(c, S_TX, X_RM, "%s|", d);
    st_f(c, S_TX, X_RM, BASE "/local/domain/0/backend/vif/%ld|", id);
    st_f(c, S_COMMIT, X_TX_END, "T|");
}

void m_boot(void)
{
    long K = o_clients > 0 ? o_clients : 1, done = 0, again = 0;
    struct lat l = { 0 };
    struct phase ph;

    open_all(K, 65536);
    clean(&cs[0]);
    x_write(&cs[0], BASE "/local/domain/0/backend/vif", "", 0);
    for (long i = 0; i < K && K > 1; i++)
        ep_add(&cs[i]);
    st_loop(K, o_secs, mk_boot, &l, &ph);
    for (long i = 0; i < K; i++) {
        done += cs[i].done;
        again += cs[i].again;
    }
    head();
    j_i("toolstacks", K);
    ph_json(&ph, done);
    j_d("domains_per_s", done / ph_secs(&ph));
    j_d("requests_per_s", g_reqs / ph_secs(&ph));
    j_d("requests_per_domain", done ? (double)g_reqs / done : 0);
    j_i("eagain", again);
    j_d("eagain_pct", 100.0 * again / (done * 2 + again + 1e-9));
    j_lat("", &l);
    j_end();
}
