/* Many nodes: as the trees of domains, and as the children of one. */
#include "xsload.h"

/* A realistic domain: 40 nodes, directories included. */
const struct dom_node dom_nodes[NDOM] = {
    /* the domain's own directory is the first of the 40 */
    { "", "" },
    { "/vm", "/vm/3f7a5b0e-5c8f-4d0e-9a54-0f1a2b3c4d5e" },
    { "/name", "guest-web-frontend" }, { "/domid", "17" },
    { "/cpu", "" }, { "/cpu/0", "" }, { "/cpu/0/availability", "online" },
    { "/memory", "" }, { "/memory/static-max", "2097152" },
    { "/memory/target", "2097153" }, { "/memory/videoram", "0" },
    { "/device", "" }, { "/device/vbd", "" },
    { "/device/vbd/51712", "" },
    { "/device/vbd/51712/backend", "/local/domain/0/backend/vbd/17/51712" },
    { "/device/vbd/51712/backend-id", "0" },
    { "/device/vbd/51712/state", "4" },
    { "/device/vbd/51712/virtual-device", "51712" },
    { "/device/vbd/51712/ring-ref", "8" },
    { "/device/vbd/51712/event-channel", "20" },
    { "/device/vif", "" }, { "/device/vif/0", "" },
    { "/device/vif/0/backend", "/local/domain/0/backend/vif/17/0" },
    { "/device/vif/0/backend-id", "0" }, { "/device/vif/0/state", "4" },
    { "/device/vif/0/handle", "0" },
    { "/device/vif/0/mac", "00:16:3e:5e:6c:00" },
    { "/device/vif/0/tx-ring-ref", "768" },
    { "/device/vif/0/event-channel-tx", "22" },
    { "/control", "" }, { "/control/shutdown", "" },
    { "/control/platform-feature-multiprocessor-suspend", "1" },
    { "/data", "" }, { "/drivers", "" }, { "/console", "" },
    { "/console/ring-ref", "1044476" }, { "/console/port", "2" },
    { "/store", "" }, { "/store/ring-ref", "1044477" },
    { "/store/port", "1" },
};

static size_t gen_tree(uint8_t *p, long i, uint32_t *type)
{
    int n = sprintf((char *)p, BASE "/local/domain/%ld%s", 1 + i / NDOM,
            dom_nodes[i % NDOM].p) + 1;
    const char *v = dom_nodes[i % NDOM].v;
    size_t l = strlen(v);

    memcpy(p + n, v, l);
    *type = X_WRITE;
    return n + l;
}

static size_t gen_tree_rd(uint8_t *p, long i, uint32_t *type)
{
    static long n;

    if (!n)
        n = o_n;
    i = rnd() % n;
    *type = X_READ;
    return sprintf((char *)p, BASE "/local/domain/%ld%s", 1 + i / NDOM,
               dom_nodes[i % NDOM].p) + 1;
}

void m_tree(void)
{
    struct conn c;
    struct phase ph;
    struct lat rl = { 0 };
    long n, r0, r1, r2, made;
    uint64_t end;
    double rd_cpu0, rd_cpu1, rms;
    struct phase rm;

    if (o_n <= 0)
        o_n = 100000;
    o_n = o_n / NDOM * NDOM;
    c_open(&c, 1 << 18);
    clean(&c);
    x_write(&c, BASE "/local/domain", "", 0);
    r0 = srv_status_kb("VmRSS:");
    n = o_n;
    ph_start(&ph);
    made = x_stream(&c, n, o_depth, gen_tree, o_limit, "tree");
    ph_stop(&ph);
    r1 = srv_status_kb("VmRSS:");
    o_n = made;
    /* random reads over the whole tree */
    end = now() + 1000000000ull;
    rd_cpu0 = srv_cpu_ns();
    while (now() < end) {
        uint8_t pl[512], *p;
        uint32_t type;
        size_t l = gen_tree_rd(pl, 0, &type);
        struct hdr h;
        uint64_t t = now();

        p = c_call(&c, &h, type, 0, pl, l);
        check(&h, p, X_READ, -1, (char *)pl);
        lat_add(&rl, now() - t);
    }
    rd_cpu1 = srv_cpu_ns();
    ph_start(&rm);
    rms = x_rm(&c, BASE "/local");
    ph_stop(&rm);
    r2 = srv_status_kb("VmRSS:");
    x_gone(&c, BASE "/local/domain/1/device/vif/0/state");
    head();
    j_i("nodes", made);
    j_i("asked", n);
    ph_json(&ph, made);
    j_d("create_us_per_node", ph_secs(&ph) * 1e6 / made);
    j_i("rss_before_kb", r0);
    j_i("rss_after_kb", r1);
    j_i("rss_after_rm_kb", r2);
    j_d("bytes_per_node", (r1 - r0) * 1024.0 / made);
    j_lat("rand_read_", &rl);
    j_d("rand_read_srv_cpu_us", (rd_cpu1 - rd_cpu0) / rl.n / 1e3);
    j_d("rm_s", rms);
    j_d("rm_us_per_node", rms * 1e6 / made);
    j_end();
}

/* A node with many children. */
static size_t gen_dir(uint8_t *p, long i, uint32_t *type)
{
    *type = X_WRITE;
    return sprintf((char *)p, BASE "/dir/child%06ld", i) + 1;
}

void m_dir(void)
{
    struct conn c;
    struct phase ph;
    struct lat l = { 0 };
    struct hdr h;
    uint8_t pl[256], *p;
    uint64_t t, end;
    long n = o_n > 0 ? o_n : 1000, made = 0, parts = 0, names = 0, restarts = 0;
    bool one;
    double first, last, list_s, rm_s, one_s;
    size_t k;

    c_open(&c, 65536);
    clean(&c);
    x_write(&c, BASE "/dir", "", 0);
    ph_start(&ph);
    end = ph.t0 + (uint64_t)(o_limit * 1e9);
    t = ph.t0;
    while (made < n && t < end) {
        uint32_t type;
        uint64_t u;
        size_t len = gen_dir(pl, made, &type);

        p = c_call(&c, &h, type, 0, pl, len);
        ok(&h, p, (char *)pl);
        u = now();
        lat_add(&l, u - t);
        t = u;
        made++;
    }
    ph_stop(&ph);
    k = made < 500 ? made : 500;
    first = lat_mean(&l, 0, k);
    last = lat_mean(&l, l.n - k, l.n);

    /* the whole list: DIRECTORY, or DIRECTORY_PART where it is too long */
    t = now();
    p = c_call(&c, &h, X_DIRECTORY, 0, BASE "/dir", sizeof(BASE "/dir"));
    one = h.type == X_DIRECTORY;
    if (one) {
        for (uint32_t i = 0; i < h.len; i++)
            names += !p[i];
        parts = 1;
    } else {
        char gen[32] = "";
        long off = 0;

        for (;;) {
            size_t g;
            int len = sprintf((char *)pl, BASE "/dir%c%ld", 0, off) + 1;

            p = c_call(&c, &h, X_DIRECTORY_PART, 0, pl, len);
            ok(&h, p, "DIRECTORY_PART");
            parts++;
            g = strlen((char *)p) + 1;
            if (off && strcmp(gen, (char *)p)) {
                off = names = 0;
                restarts++;
                continue;
            }
            snprintf(gen, sizeof(gen), "%s", p);
            for (uint32_t i = g; i < h.len; i++)
                names += !p[i];
            /* the end: an empty name, or nothing at all */
            if (h.len == g || (h.len >= 2 && !p[h.len - 1] &&
                       !p[h.len - 2])) {
                if (h.len > g)
                    names--;
                break;
            }
            off += h.len - g;
        }
    }
    list_s = (now() - t) / 1e9;
    /* one more write of an existing child, then one removal */
    gen_dir(pl, made / 2, &(uint32_t){ 0 });
    one_s = x_rm(&c, (char *)pl);
    rm_s = x_rm(&c, BASE "/dir");
    x_gone(&c, BASE "/dir/child000000");
    if (names != made)
        die("%ld names listed of %ld", names, made);
    head();
    j_i("asked", n);
    j_i("children", made);
    ph_json(&ph, made);
    j_d("create_first500_us", first);
    j_d("create_last500_us", last);
    j_lat("", &l);
    j_s("list_with", one ? "DIRECTORY" : "DIRECTORY_PART");
    j_i("list_names", names);
    j_i("list_parts", parts);
    j_i("list_restarts", restarts);
    j_d("list_ms", list_s * 1e3);
    j_d("rm_one_us", one_s * 1e6);
    j_d("rm_all_ms", rm_s * 1e3);
    if (g_max_frame) {
        j_i("oversized_reply", g_max_frame);
        j_s("note", "DIRECTORY answered with more than 4096 bytes");
    }
    j_end();
}
