/* Many watches, and many clients that only are there. */
#include "xsload.h"

/* Watches. */
static long g_from, g_conn;
static size_t gen_watch(uint8_t *p, long i, uint32_t *type)
{
    *type = X_WATCH;
    /* 16 watches a fictitious device directory, never written to */
    return sprintf((char *)p, BASE "/w/%ld/device/%ld/state%ld%ctok%ld",
               g_conn, (g_from + i) / 16, (g_from + i) % 16, 0, i) + 1;
}

void m_wscale(void)
{
    long W = o_watches >= 0 ? o_watches : 1000, done = 0, r0, r1;
    long K = o_clients > 0 ? o_clients : 100;
    struct conn c;
    struct phase ph, reg;
    struct lat l = { 0 }, rl = { 0 };
    char k[128];
    long ops, rops;

    if (K > W)
        K = W;
    c_open(&c, 65536);
    clean(&c);
    make_keys(&c, 10);
    open_all(K, 1 << 17);
    r0 = srv_status_kb("VmRSS:");
    ph_start(&reg);
    for (long i = 0; i < K; i++) {
        long m = W / K + (i < W % K);

        g_conn = i;
        g_from = 0;
        done += x_stream(&cs[i], m, 32, gen_watch, o_limit, "watch");
        wait_events(&cs[i], m);
    }
    ph_stop(&reg);
    r1 = srv_status_kb("VmRSS:");
    key(k, 7);
    sync_loop(&c, K_WRITE, 0.2, NULL, k);
    ph_start(&ph);
    ops = sync_loop(&c, K_WRITE, o_secs, &l, k);
    ph_stop(&ph);
    rops = sync_loop(&c, K_READ, 0.5, &rl, k);
    head();
    j_i("watches", W);
    j_i("conns", K);
    j_d("register_us", W ? ph_secs(&reg) * 1e6 / W : 0);
    j_d("bytes_per_watch", W ? (r1 - r0) * 1024.0 / W : 0);
    ph_json(&ph, ops);
    j_lat("", &l);
    j_i("read_ops", rops);
    j_lat("read_", &rl);
    j_end();
}

static size_t gen_fan(uint8_t *p, long i, uint32_t *type)
{
    *type = X_WATCH;
    return sprintf((char *)p, BASE "/fan/node%ctok%ld", 0, i) + 1;
}

void m_fanout(void)
{
    long W = o_watches > 0 ? o_watches : 1, K = o_oneconn ? 1 : W;
    struct epoll_event ev[256];
    struct conn w;
    struct phase ph, st;
    struct lat l = { 0 }, sl = { 0 };
    uint8_t req[HDR + 256];
    uint64_t total = 0, want = 0, t, end, last = 0, ph_stop_at = 0;
    size_t n;
    long writes = 0, swrites = 0;
    bool replied, stalled = false;
    int idle = 0;

    c_open(&w, 65536);
    clean(&w);
    x_write(&w, BASE "/fan/node", "0", 1);
    open_all(K, K > 100 ? 16384 : 1 << 17);
    for (long i = 0; i < K; i++) {
        long m = K == 1 ? W : 1;

        x_stream(&cs[i], m, 32, gen_fan, o_limit, "watch");
        wait_events(&cs[i], m);
        cs[i].events = 0;
        ep_add(&cs[i]);
    }
    ep_add(&w);
    n = put(req, X_WRITE, 1, 0, BASE "/fan/node\0val", sizeof(BASE "/fan/node") + 3);

    for (int settle = 1; settle >= 0; settle--) {
        /* settle: the next write waits for all events of the last;
         * otherwise it waits for its own reply only, and what is
         * left of the events is drained in the end */
        struct phase *p = settle ? &st : &ph;
        struct lat *ll = settle ? &sl : &l;
        long cnt = 0;
        uint64_t wt0;

        total = 0;
        ph_start(p);
        end = p->t0 + (uint64_t)(o_secs * 1e9);
        t = wt0 = p->t0;
        last = 0;
        c_send(&w, req, n);
        cnt = 1;
        want = W;
        replied = false;
        for (;;) {
            int k = epoll_wait(ep, ev, 256, settle ? 5000 : 500);

            if (k <= 0 && !settle && replied && t >= end)
                break;	/* equal pending events were merged */
            if (k == 0 && !settle && idle++ < 5)
                continue;
            if (k == 0 && !settle && !replied) {
                stalled = true;
                break;
            }
            idle = 0;
            if (k <= 0)
                die("events missing: %lu of %lu", (long)total,
                    (long)want);
            for (int i = 0; i < k; i++) {
                struct conn *c = ev[i].data.ptr;
                struct hdr h;
                uint8_t *q;

                c_fill(c);
                while ((q = c_next(c, &h))) {
                    if (h.type == X_WATCH_EVENT)
                        total++, last = 1;
                    else if (c == &w) {
                        ok(&h, q, "write");
                        replied = true;
                        if (!settle)
                            lat_add(ll, now() - wt0);
                    }
                }
            }
            t = now();
            if (last) {
                ph_stop_at = t;
                last = 0;
            }
            if (replied && settle && total == want)
                lat_add(ll, t - wt0);
            if (replied && (!settle || total == want) && t < end) {
                replied = false;
                wt0 = now();
                c_send(&w, req, n);
                cnt++;
                want += W;
            }
            if (t >= end && replied && total >= want)
                break;
        }
        ph_stop(p);
        p->t1 = ph_stop_at;
        if (settle)
            swrites = cnt;
        else
            writes = cnt;
    }
    head();
    j_i("watches", W);
    j_i("conns", K);
    ph_json(&ph, writes);
    j_d("events_per_s", total / ph_secs(&ph));
    j_d("delivered_pct", 100.0 * total / want);
    if (stalled)
        j_s("note", "the daemon stopped answering the writer while "
            "events were pending");
    j_lat("", &l);
    j_d("settle_writes_per_s", swrites / ph_secs(&st));
    j_d("settle_events_per_s", (double)swrites * W / ph_secs(&st));
    j_d("srv_cpu_us_per_event",
        (st.s1 - st.s0) / ((double)swrites * W) / 1e3);
    j_lat("settle_", &sl);
    j_end();
}

/* Idle connections. */
void m_idle(void)
{
    long N = o_clients >= 0 ? o_clients : 1000;
    struct conn c;
    struct phase ph, op;
    struct lat l = { 0 };
    char k[128];
    long ops, r0, r1;

    c_open(&c, 65536);
    clean(&c);
    make_keys(&c, 10);
    key(k, 7);
    r0 = srv_status_kb("VmRSS:");
    ph_start(&op);
    open_all(N, 0);
    /* the last one has been served once this answers */
    if (N) {
        struct hdr h;

        cs[N - 1].rb = xmalloc(65536);
        cs[N - 1].rcap = 65536;
        c_call(&cs[N - 1], &h, X_READ, 0, k, strlen(k) + 1);
    }
    ph_stop(&op);
    r1 = srv_status_kb("VmRSS:");
    sync_loop(&c, K_READ, 0.2, NULL, k);
    ph_start(&ph);
    ops = sync_loop(&c, K_READ, o_secs, &l, k);
    ph_stop(&ph);
    head();
    j_i("idle", N);
    j_d("connect_us", N ? ph_secs(&op) * 1e6 / N : 0);
    j_d("bytes_per_conn", N ? (r1 - r0) * 1024.0 / N : 0);
    ph_json(&ph, ops);
    j_lat("", &l);
    j_end();
}
