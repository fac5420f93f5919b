/* A load generator for XenStore daemons: `xsload MODE -s SOCKET`, see `usage`. */
#include "xsload.h"

#include <getopt.h>
#include <signal.h>

const char *o_sock, *o_mode;
const char *o_testbin = "/usr/lib/xen-4.17/bin/test-xenstore";
int o_pid;
double o_secs = 2.0, o_limit = 120.0;
long o_n, o_clients = -1, o_depth = 1, o_watches = -1, o_size = 8, o_iters = 200;
bool o_same, o_write, o_oneconn;
char *val;

/* Xen's own test-xenstore, through the real libxenstore. */
static void m_testxs(void)
{
    char cmd[512], line[512], it[32];
    struct phase ph;
    struct conn c;
    int pfd[2], status, tests = 0, failed = 0;
    char names[4096] = "";
    size_t nl = 0;
    double sum = 0;
    FILE *f;
    pid_t pid;

    c_open(&c, 65536);	/* for the PID */
    setenv("XENSTORED_PATH", o_sock, 1);
    snprintf(it, sizeof(it), "%ld", o_iters);
    snprintf(cmd, sizeof(cmd), "%s", o_testbin);
    fflush(stdout);
    ph_start(&ph);
    if (pipe(pfd))
        die("pipe");
    pid = fork();
    if (!pid) {
        dup2(pfd[1], 1);
        dup2(pfd[1], 2);
        close(pfd[0]);
        close(pfd[1]);
        close(c.fd);
        execl(cmd, cmd, "-i", it, NULL);
        _exit(127);
    }
    close(pfd[1]);
    f = fdopen(pfd[0], "r");
    while (fgets(line, sizeof(line), f)) {
        char name[64];
        unsigned long avg;

        if (sscanf(line, " %63[^:]: avg: %lu ns", name, &avg) == 2) {
            while (*name && name[strlen(name) - 1] == ' ')
                name[strlen(name) - 1] = 0;
            nl += snprintf(names + nl, sizeof(names) - nl,
                       "%s\"%s\":%.3f", nl ? "," : "", name,
                       avg / 1e3);
            tests++;
            sum += avg / 1e3;
        } else {
            failed++;
            fprintf(stderr, "test-xenstore: %s", line);
        }
    }
    fclose(f);
    waitpid(pid, &status, 0);
    ph_stop(&ph);
    head();
    j_i("iterations", o_iters);
    j_i("exit", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    j_i("tests", tests);
    j_i("failed", failed);
    ph_json(&ph, o_iters * tests);
    j_d("sum_avg_us", sum);
    j_key("avg_us");
    printf("{%s}", names);
    j_end();
    if (!WIFEXITED(status) || WEXITSTATUS(status) || failed)
        exit(3);
}

static void usage(int rc)
{
    fprintf(rc ? stderr : stdout,
"usage: xsload MODE -s SOCKET [options]\n"
"modes:\n"
"  read-sync, write-sync, mixed-sync   one client waits for each reply\n"
"  read-conc    -c C [-w]              C clients that each wait (-w: WRITE)\n"
"  pipe         -d D [-w]              one client, D requests at once (-w: WRITE)\n"
"  tx-rmw                              start, READ, WRITE, end; one client\n"
"  tx-contend   -c K [--same]          K clients, with a key each or with the same\n"
"  watch-fanout -W N [--one-conn]      N watches of one node, of as many clients or one\n"
"  watch-scale  -W N [-c K]            N watches of other nodes, of K clients\n"
"  dir-scale    -n N                   N children of one node\n"
"  tree-scale   -n N [-d D]            N nodes, 40 a domain, then RM\n"
"  idle-conns   -c N                   read-sync beside N idle clients\n"
"  domain-boot  [-c K]                 K toolstacks start and destroy domains\n"
"  test-xenstore [-i N] [--test-bin P] Xen's own program\n"
"options: -p PID of the daemon, -t SECONDS (2), --limit SECONDS of making nodes (120),\n"
"  --size BYTES of a value (8)\n");
    exit(rc);
}

static void read_sync(void) { m_sync(K_READ); }
static void write_sync(void) { m_sync(K_WRITE); }
static void mixed_sync(void) { m_sync(K_MIXED); }

static const struct { const char *name; void (*run)(void); } modes[] = {
    { "read-sync", read_sync }, { "write-sync", write_sync },
    { "mixed-sync", mixed_sync }, { "read-conc", m_conc }, { "pipe", m_pipe },
    { "tx-rmw", m_tx }, { "tx-contend", m_tx }, { "watch-fanout", m_fanout },
    { "watch-scale", m_wscale }, { "dir-scale", m_dir }, { "tree-scale", m_tree },
    { "idle-conns", m_idle }, { "domain-boot", m_boot }, { "test-xenstore", m_testxs },
};

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        { "same", 0, 0, 1 }, { "one-conn", 0, 0, 2 }, { "limit", 1, 0, 3 },
        { "size", 1, 0, 4 }, { "test-bin", 1, 0, 5 }, { "help", 0, 0, 'h' },
        { 0, 0, 0, 0 },
    };
    int o;

    while ((o = getopt_long(argc, argv, "s:p:t:n:c:d:W:i:wh", names, NULL)) != -1)
        switch (o) {
        case 's': o_sock = optarg; break;
        case 'p': o_pid = atoi(optarg); break;
        case 't': o_secs = atof(optarg); break;
        case 'n': o_n = atol(optarg); break;
        case 'c': o_clients = atol(optarg); break;
        case 'd': o_depth = atol(optarg); break;
        case 'W': o_watches = atol(optarg); break;
        case 'i': o_iters = atol(optarg); break;
        case 'w': o_write = true; break;
        case 1: o_same = true; break;
        case 2: o_oneconn = true; break;
        case 3: o_limit = atof(optarg); break;
        case 4: o_size = atol(optarg); break;
        case 5: o_testbin = optarg; break;
        case 'h': usage(0); break;
        default: usage(2);
        }
    if (!o_sock)
        usage(2);
    if (o_depth < 1 || o_depth > 1024)
        die("depth 1..1024");
    if (o_size < 0 || o_size > 2048)
        die("size 0..2048");
}

int main(int argc, char **argv)
{
    if (argc < 2 || argv[1][0] == '-')
        usage(argc > 1 && argv[1][1] == 'h' ? 0 : 2);
    o_mode = argv[1];
    read_options(argc - 1, argv + 1);
    signal(SIGPIPE, SIG_IGN);
    val = xmalloc(o_size + 1);
    memset(val, '4', o_size);
    val[o_size] = 0;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(o_mode, modes[i].name) == 0) {
            modes[i].run();
            return 0;
        }
    usage(2);
}
